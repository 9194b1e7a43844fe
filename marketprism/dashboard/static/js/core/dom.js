/** Elements: found, built and written to. Texts are always text nodes, never markup. */

/** @param {string} id @returns {any} */
export const byId = (id) => document.getElementById(id);

/**
 * Build an element. `properties` that the element does not know are set as attributes.
 * @param {string} tag @param {Record<string, any>} properties @param {...(Node|string)} children
 */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in made) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

/** Give `parent` an empty text node of its own and return it. */
export function textIn(parent) {
  const text = document.createTextNode("");
  parent.append(text);
  return text;
}

/** Write a text if it changed. @param {Text} node @param {string} text */
export function write(node, text) {
  if (node.data !== text) node.data = text;
}

/** Write an element's whole text if it changed. @param {Element} target @param {string} text */
export function say(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

/** Set an attribute if it changed. */
export function set(target, name, value) {
  if (target.getAttribute(name) !== value) target.setAttribute(name, value);
}

/** Fill a group with buttons of which one is pressed. Returns a function that presses another. */
export function choice(group, values, title, chosen) {
  const buttons = values.map((value) => {
    const button = element("button", { type: "button" }, title(value));
    button.addEventListener("click", () => chosen(value));
    return button;
  });
  group.replaceChildren(...buttons);
  return (now) => buttons.forEach((button, i) => set(button, "aria-pressed", String(values[i] === now)));
}

/** Let the tabs in `side` choose which panel is shown where there is room for one only. */
export function tabs(side) {
  const buttons = [...side.querySelectorAll("[role=tab]")];
  const choose = (button) => {
    side.dataset.tab = button.id.replace("tab-", "");
    for (const each of buttons) {
      each.setAttribute("aria-selected", String(each === button));
      each.tabIndex = each === button ? 0 : -1;
    }
  };
  side.addEventListener("click", (event) => buttons.includes(event.target) && choose(event.target));
  side.querySelector("[role=tablist]").addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    const next = buttons[(buttons.indexOf(event.target) + step + buttons.length) % buttons.length];
    choose(next);
    next.focus();
  });
}

// Runs before the first paint, so that the page never flashes in the other theme.
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = localStorage.getItem("theme") ?? (dark ? "dark" : "light");
  document.documentElement.dataset.palette = localStorage.getItem("palette") ?? "usual";
})();

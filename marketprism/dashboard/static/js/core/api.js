/** REST requests below /api. */

/** A refusal of the server, with its own words. */
export class Refused extends Error {}

async function answer(response) {
  if (response.ok) return response;
  const problem = await response.json().catch(() => ({}));
  throw new Refused(problem.detail || problem.title || `${response.status} ${response.statusText}`);
}

/**
 * @param {string} path below /api/ @param {Record<string, any>} query parameters; undefined ones are left out
 * @param {AbortSignal} [signal]
 */
export async function get(path, query = {}, signal = undefined) {
  const known = Object.entries(query).filter(([, value]) => value !== undefined);
  const search = new URLSearchParams(known.map(([name, value]) => [name, String(value)]));
  return (await answer(await fetch(`/api/${path}${known.length ? `?${search}` : ""}`, { signal }))).json();
}

/** @param {string} path @param {any} body @param {AbortSignal} [signal] @returns {Promise<Response>} */
export async function post(path, body, signal = undefined) {
  const headers = { "Content-Type": "application/json" };
  return answer(await fetch(`/api/${path}`, { method: "POST", headers, body: JSON.stringify(body), signal }));
}

/** The rows of an answer, whether it is a list or a page of one. */
export const items = (found) => (Array.isArray(found) ? found : (found?.items ?? []));

/** Do nothing about a failed request of figures that come again, but say so to the developer. */
export const tolerate = (error) => error.name !== "AbortError" && console.warn(error.message);

// Runs scripts of the page in a context with just what they need, and gives back their `icm`; `look` sees the rest.
import { readFileSync } from "node:fs";
import vm from "node:vm";

export function load(names, given = {}, look = () => {}) {
  const context = vm.createContext({ icm: {}, ...given });
  context.window = context;
  for (const name of names) {
    const path = new URL(`../../app/widgets/${name}`, import.meta.url);
    vm.runInContext(readFileSync(path, "utf8"), context, { filename: name });
  }
  look(context);
  return context.icm;
}

// Arrays and objects of another context are equal only as plain data.
export const plain = (value) => JSON.parse(JSON.stringify(value));

// What the page's scripts are held to; run by `make lint`.
import js from "@eslint/js";
import stylistic from "@stylistic/eslint-plugin";
import globals from "globals";

const rules = {
  ...js.configs.recommended.rules,
  "eqeqeq": ["error", "always", { null: "ignore" }],
  "no-implicit-globals": "error",
  "no-unused-vars": ["error", { caughtErrors: "none" }],
  "no-var": "error",
  "prefer-const": "error",
  "@stylistic/max-len": ["error", { code: 120 }],
  "@stylistic/indent": ["error", 2, { SwitchCase: 1, ignoredNodes: ["CallExpression > *", "ConditionalExpression"] }],
  "@stylistic/no-tabs": "error",
  "@stylistic/no-trailing-spaces": "error",
  "@stylistic/quotes": ["error", "double", { avoidEscape: true }],
  "@stylistic/semi": "error",
};

export default [
  {
    files: ["app/widgets/*.js"],
    plugins: { "@stylistic": stylistic },
    languageOptions: { sourceType: "script", globals: { ...globals.browser, icm: "readonly" } },
    rules,
  },
  {
    files: ["tests/widgets/*.js"],
    plugins: { "@stylistic": stylistic },
    languageOptions: { sourceType: "module", globals: globals.node },
    rules,
  },
];

// OpenCode, one shot, with a provider of its own config: chat completions, streamed, with all its tools.
import { mkdirSync, writeFileSync } from "node:fs";
import { ANSWER, KEY, QUESTION, URL, addCase, check, command, program, run } from "./harness.mjs";

const models = Object.fromEntries(["auto", "auto:code", "anthropic"].map((name) => [name, { name }]));
const ways = {
  tooloo: "@ai-sdk/openai-compatible",
  "tooloo-responses": "@ai-sdk/openai",
  "tooloo-messages": "@ai-sdk/anthropic",
};
const provider = Object.fromEntries(
  Object.entries(ways).map(([id, npm]) => [id, { npm, name: id, options: { baseURL: URL, apiKey: KEY }, models }]),
);
mkdirSync("project"); // it does not like to work in a home
writeFileSync("project/opencode.json", JSON.stringify({ provider, autoupdate: false, share: "disabled" }));

function answers(model) {
  const env = { OPENCODE_DISABLE_MODELS_FETCH: "1", OPENCODE_DISABLE_AUTOUPDATE: "1" };
  const seen = command(program("opencode"), ["run", "-m", model, QUESTION], { env, cwd: "project" });
  check(seen.includes(ANSWER), seen);
}

// a start takes half a minute on a busy machine: not every provider
addCase("tools", "run", ["auto", "anthropic"], (model) => answers(`tooloo/${model}`));
addCase("responses", "run", ["auto"], (model) => answers(`tooloo-responses/${model}`));
addCase("messages", "run", ["auto"], (model) => answers(`tooloo-messages/${model}`));
addCase("default", "run", () => answers("tooloo/auto:code"));

await run();

// What a client's cases.mjs has of this project; the same as harness.py, for Node.
import { spawnSync } from "node:child_process";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = process.env.CLIENTS_URL;
export const URL = `${ROOT}/v1`;
export const KEY = process.env.CLIENTS_KEY;
const LAB = process.env.CLIENTS_LAB;
// one provider of each wire format, and DeepSeek, whose API is OpenAI's but for what it refuses
export const PROVIDERS = ["openai", "deepseek", "anthropic", "gemini"];
export const MODELS = ["auto", "auto:code", ...PROVIDERS, "deepseek/deepseek-chat", "gpt-4.1-mini"];
export const QUESTION = "What is a mutex?";
// how the lab's answer to it begins
export const ANSWER = "Simulated answer";
// characters of an error that are told
const TOLD = 600;

const cases = [];

// addCase(feature, name, [models,] function): run once, or once for each model
export function addCase(feature, name, ...rest) {
  const [models, show] = rest.length === 2 ? rest : [null, rest[0]];
  if (models === null) cases.push([feature, name, show]);
  else for (const model of models) cases.push([feature, `${name} ${model}`, () => show(model)]);
}

export async function run() {
  tell({ plan: cases.map(([feature, name]) => [feature, name]) });
  for (const [feature, name, show] of cases) {
    let error = null;
    try {
      await show();
    } catch (caught) {
      console.error(caught);
      error = `${caught?.name}: ${caught?.message} ${caught?.responseBody ?? ""}`.slice(0, TOLD);
    }
    tell({ feature, case: name, error });
  }
  process.exit(0); // some keep connections open, or timers
}

// the lab's provider takes a minute for an answer, so that a caller has time to lose patience
export async function slowly(provider, during) {
  await change(provider, { tokens_per_s: 1 });
  try {
    await during();
  } finally {
    await change(provider, { tokens_per_s: 5000 });
  }
}

export function check(condition, seen) {
  if (!condition) throw new Error(`got ${typeof seen === "string" ? seen : JSON.stringify(seen)}`);
}

export async function raises(kind, during) {
  let seen;
  try {
    seen = await during();
  } catch (caught) {
    if (caught instanceof kind) return;
    throw caught;
  }
  throw new Error(`${kind.name} expected, got ${JSON.stringify(seen)}`);
}

function tell(fact) {
  process.stdout.write(`${JSON.stringify(fact)}\n`);
}

async function change(provider, figures) {
  const headers = { "Content-Type": "application/json" };
  const answer = await fetch(`${LAB}/lab/profiles/${provider}`, { method: "PATCH", headers, body: JSON.stringify(figures) });
  if (!answer.ok) throw new Error(await answer.text());
}

// what a command printed; fails with the end of what it said where its exit code is not 0
export function command(program, given, { env = {}, cwd = process.cwd(), limitMs = 100_000 } = {}) {
  const options = { cwd, env: { ...process.env, PWD: resolve(cwd), ...env }, encoding: "utf8", timeout: limitMs, input: "" };
  const done = spawnSync(program, given, options);
  if (done.status !== 0) {
    const ended = done.error?.message ?? `exit code ${done.status}`;
    throw new Error(`${ended}: ${`${done.stdout}\n${done.stderr}`.trim().slice(-500)}`);
  }
  return done.stdout;
}

// where a client of this folder installed its program
export function program(name) {
  return join(dirname(fileURLToPath(import.meta.url)), "node_modules", ".bin", name);
}

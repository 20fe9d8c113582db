// Claude Code without a screen: it speaks Messages, streamed, with all its tools.
import { KEY, PROVIDERS, QUESTION, ROOT, addCase, check, command, program, run } from "./harness.mjs";

const quiet = { CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1", DISABLE_TELEMETRY: "1", DISABLE_AUTOUPDATER: "1" };

// of those the first starts an agent, which would start an agent, and so on
const ALONE = ["--disallowed-tools", "Agent,Task"];

function ask(model, ...more) {
  const small = { ANTHROPIC_DEFAULT_HAIKU_MODEL: model, ANTHROPIC_SMALL_FAST_MODEL: model };
  const env = { ANTHROPIC_BASE_URL: ROOT, ANTHROPIC_AUTH_TOKEN: KEY, ANTHROPIC_MODEL: model, ...small, ...quiet };
  const given = ["-p", QUESTION, "--output-format", "json", "--max-turns", "4", ...ALONE, ...more];
  const printed = command(program("claude"), given, { env });
  const found = JSON.parse(printed);
  return Array.isArray(found) ? found.at(-1) : found;
}

function answered(result) {
  check(result.is_error === false && result.result.includes("Simulated answer"), result);
}

// the lab's model calls the first tool that is offered, and speaks when it has its result
addCase("tools", "with all its tools", ["auto", ...PROVIDERS], (model) => answered(ask(model)));
addCase("messages", "without tools", ["auto"], (model) => answered(ask(model, "--tools", "")));
addCase("default", "-p", () => answered(ask("auto:code")));

await run();

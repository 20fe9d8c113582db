// Codex CLI, one shot: it speaks Responses, streamed, with its own tools, and runs what the model asks of its shell.
import { mkdirSync } from "node:fs";
import { ANSWER, KEY, PROVIDERS, QUESTION, URL, addCase, check, command, program, run } from "./harness.mjs";

const provider = `{name="TooLoo", base_url="${URL}", env_key="TOOLOO_KEY", wire_api="responses", request_max_retries=0, stream_max_retries=0}`;
const settings = ["-c", "model_provider=tooloo", "-c", `model_providers.tooloo=${provider}`];
mkdirSync(".codex");

function exec(model, ...more) {
  const given = ["exec", "--json", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", ...settings];
  const printed = command(program("codex"), [...given, "-m", model, ...more, QUESTION], { env: { TOOLOO_KEY: KEY } });
  return printed.split("\n").filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
}

function answered(events) {
  const said = events.filter((event) => event.item?.type === "agent_message").map((event) => event.item.text);
  check(said.at(-1)?.startsWith(ANSWER) && events.at(-1).type === "turn.completed", events);
}

// the lab's model calls the first tool that is offered, and speaks when it has its result
addCase("tools", "exec", ["auto", ...PROVIDERS], (model) => answered(exec(model)));
addCase("responses", "exec with effort", ["auto", "openai"], (model) => answered(exec(model, "-c", "model_reasoning_effort=low")));
addCase("default", "exec", () => answered(exec("auto:code")));

await run();

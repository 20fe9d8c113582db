// Anthropic's own SDK for Node.
import Anthropic from "@anthropic-ai/sdk";
import { betaZodTool } from "@anthropic-ai/sdk/helpers/beta/zod";
import { z } from "zod";
import { ANSWER, KEY, PROVIDERS, QUESTION, ROOT, addCase, check, raises, run, slowly } from "./harness.mjs";

const client = new Anthropic({ baseURL: ROOT, apiKey: KEY, maxRetries: 0, timeout: 30_000 });
const messages = [{ role: "user", content: QUESTION }];
const WEATHER = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const TOOL = { name: "get_weather", description: "Weather now", input_schema: WEATHER };

const create = async (model) => {
  const answer = await client.messages.create({ model, max_tokens: 300, messages });
  check(answer.content[0].text.startsWith(ANSWER) && answer.stop_reason === "end_turn", answer);
};
addCase("messages", "create", ["auto", ...PROVIDERS], create);

addCase("messages", "errors are of their classes", async () => {
  await raises(Anthropic.NotFoundError, () => client.messages.create({ model: "nobody", max_tokens: 9, messages }));
  await raises(Anthropic.BadRequestError, () => client.messages.create({ model: "auto", max_tokens: 0, messages }));
});

addCase("messages", "count tokens", ["auto", "anthropic"], async (model) => {
  check((await client.messages.countTokens({ model, messages })).input_tokens > 0, model);
});

addCase("stream", "helper", ["auto", ...PROVIDERS], async (model) => {
  const stream = client.messages.stream({ model, max_tokens: 300, messages });
  check((await stream.finalText()).startsWith(ANSWER), "no text");
  check((await stream.finalMessage()).usage.output_tokens > 0, "no usage");
});

addCase("tools", "loop", PROVIDERS, async (model) => {
  const ask = { model, max_tokens: 300, tools: [TOOL] };
  const first = await client.messages.create({ ...ask, messages });
  const use = first.content.find((block) => block.type === "tool_use");
  const result = { type: "tool_result", tool_use_id: use.id, content: "18 °C" };
  const turns = [...messages, { role: "assistant", content: first.content }, { role: "user", content: [result] }];
  const second = await client.messages.create({ ...ask, messages: turns });
  check("city" in use.input && second.content[0].text.startsWith(ANSWER), second);
});

addCase("tools", "streamed", PROVIDERS, async (model) => {
  const final = await client.messages.stream({ model, max_tokens: 300, messages, tools: [TOOL] }).finalMessage();
  check("city" in final.content.find((block) => block.type === "tool_use").input, final);
});

addCase("tools", "toolRunner", ["auto", "anthropic", "openai"], async (model) => {
  const asked = [];
  const tool = betaZodTool({
    name: "get_weather",
    description: "Weather now",
    inputSchema: z.object({ city: z.string() }),
    run: (given) => asked.push(given) && "18 °C",
  });
  const final = await client.beta.messages.toolRunner({ model, max_tokens: 300, messages, tools: [tool] });
  check("city" in asked[0] && final.content[0].text.startsWith(ANSWER), final);
});

addCase("models", "listed", async () => {
  const names = [];
  for await (const model of client.models.list()) names.push(model.id);
  check(names.includes("auto"), names);
});

addCase("cancel", "timeout", () =>
  slowly("openai", () =>
    raises(Anthropic.APIConnectionTimeoutError, () =>
      client.messages.create({ model: "openai", max_tokens: 300, messages }, { timeout: 1000 }))));

addCase("cancel", "abort in the middle", async () => {
  await slowly("openai", async () => {
    for await (const _ of client.messages.stream({ model: "openai", max_tokens: 300, messages })) break;
  });
  await create("openai");
});

addCase("default", "as in its readme", () => create("auto"));

await run();

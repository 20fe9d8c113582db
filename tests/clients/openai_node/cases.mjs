// OpenAI's own SDK for Node.
import OpenAI from "openai";
import { zodResponseFormat, zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";
import { ANSWER, KEY, MODELS, PROVIDERS, QUESTION, URL, addCase, check, raises, run, slowly } from "./harness.mjs";

const client = new OpenAI({ baseURL: URL, apiKey: KEY, maxRetries: 0, timeout: 30_000 });
const messages = [{ role: "user", content: QUESTION }];
const WEATHER = { type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false };
const TOOL = { type: "function", function: { name: "get_weather", description: "Weather now", parameters: WEATHER } };
const City = z.object({ name: z.string(), people: z.number() });

const create = async (model) => {
  const answer = await client.chat.completions.create({ model, messages });
  check(answer.choices[0].message.content.startsWith(ANSWER), answer);
};
addCase("chat", "create", MODELS, create);

addCase("chat", "errors are of their classes", async () => {
  await raises(OpenAI.NotFoundError, () => client.chat.completions.create({ model: "nobody", messages }));
  await raises(OpenAI.BadRequestError, () => client.chat.completions.create({ model: "auto", messages, temperature: 9 }));
});

addCase("stream", "chunks", ["auto", ...PROVIDERS], async (model) => {
  const options = { model, messages, stream: true, stream_options: { include_usage: true } };
  let text = "";
  let usage = null;
  for await (const chunk of await client.chat.completions.create(options)) {
    text += chunk.choices[0]?.delta?.content ?? "";
    usage = chunk.usage ?? usage;
  }
  check(text.startsWith(ANSWER) && usage.total_tokens > 0, { text, usage });
});

addCase("stream", "helper", PROVIDERS, async (model) => {
  const stream = client.chat.completions.stream({ model, messages });
  check((await stream.finalContent()).startsWith(ANSWER), "no text");
});

addCase("tools", "runTools", ["auto", ...PROVIDERS], async (model) => {
  const asked = [];
  const run = { ...TOOL.function, parse: JSON.parse, function: (given) => asked.push(given) && "18 °C" };
  const runner = client.chat.completions.runTools({ model, messages, tools: [{ type: "function", function: run }] });
  check((await runner.finalContent()).startsWith(ANSWER) && "city" in asked[0], asked);
});

addCase("tools", "streamed", PROVIDERS, async (model) => {
  const done = await client.chat.completions.stream({ model, messages, tools: [TOOL] }).finalChatCompletion();
  check("city" in JSON.parse(done.choices[0].message.tool_calls[0].function.arguments), done);
});

addCase("structured", "zod", ["auto", ...PROVIDERS], async (model) => {
  const answer = await client.chat.completions.parse({ model, messages, response_format: zodResponseFormat(City, "city") });
  check(City.safeParse(answer.choices[0].message.parsed).success, answer);
});

addCase("models", "listed and retrieved", async () => {
  const names = [];
  for await (const model of client.models.list()) names.push(model.id);
  check(names.includes("auto") && (await client.models.retrieve("auto")).id === "auto", names);
});

addCase("cancel", "timeout", () =>
  slowly("openai", () =>
    raises(OpenAI.APIConnectionTimeoutError, () =>
      client.chat.completions.create({ model: "openai", messages }, { timeout: 1000 }))));

addCase("cancel", "abort in the middle", async () => {
  await slowly("openai", async () => {
    const stream = await client.chat.completions.create({ model: "openai", messages, stream: true });
    for await (const _ of stream) break; // which aborts the request
  });
  await create("openai");
});

const respond = async (model) => {
  const answer = await client.responses.create({ model, input: QUESTION, instructions: "Be brief." });
  check(answer.output_text.startsWith(ANSWER) && answer.status === "completed", answer);
};
addCase("responses", "respond", ["auto", ...PROVIDERS], respond);

addCase("responses", "streamed", PROVIDERS, async (model) => {
  const stream = client.responses.stream({ model, input: QUESTION });
  const numbers = [];
  for await (const event of stream) numbers.push(event.sequence_number);
  const answer = await stream.finalResponse();
  check(answer.output_text.startsWith(ANSWER) && numbers.every((number, place) => number === place), numbers);
});

addCase("responses", "with a tool", PROVIDERS, async (model) => {
  const ask = { model, tools: [{ ...TOOL.function, type: "function", strict: true }], store: false };
  const first = await client.responses.create({ ...ask, input: QUESTION });
  const call = first.output.find((item) => item.type === "function_call");
  const output = { type: "function_call_output", call_id: call.call_id, output: "18 °C" };
  const second = await client.responses.create({ ...ask, input: [...messages, ...first.output, output] });
  check(second.output_text.startsWith(ANSWER), second);
});

addCase("responses", "parsed", PROVIDERS, async (model) => {
  const answer = await client.responses.parse({ model, input: QUESTION, text: { format: zodTextFormat(City, "city") } });
  check(City.safeParse(answer.output_parsed).success, answer);
});

addCase("embeddings", "vectors", async () => {
  const answer = await client.embeddings.create({ model: "text-embedding-3-small", input: ["a mutex", "a semaphore"] });
  check(answer.data.length === 2 && answer.data[1].embedding.length > 0, answer);
});

addCase("completions", "complete", async () => {
  const answer = await client.completions.create({ model: "auto", prompt: QUESTION, max_tokens: 200 });
  check(answer.choices[0].text, answer);
});

addCase("default", "as in its readme", async () => {
  await respond("auto");
  await create("auto");
});

await run();

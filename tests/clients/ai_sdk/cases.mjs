// The AI SDK with its providers for OpenAI (Responses by default, .chat, .completion), Anthropic and compatible servers.
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { embed, generateText, Output, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";
import { ANSWER, KEY, PROVIDERS, QUESTION, URL, addCase, check, run, slowly } from "./harness.mjs";

const openai = createOpenAI({ baseURL: URL, apiKey: KEY });
const anthropic = createAnthropic({ baseURL: URL, apiKey: KEY });
const compatible = createOpenAICompatible({
  name: "tooloo", baseURL: URL, apiKey: KEY, includeUsage: true, supportsStructuredOutputs: true,
});
const City = z.object({ name: z.string(), people: z.number() });
const ONCE = { maxRetries: 0 };

const said = async (model) => {
  const { text, usage } = await generateText({ model, prompt: QUESTION, ...ONCE });
  check(text.startsWith(ANSWER) && usage.totalTokens > 0, { text, usage });
};

const streamed = async (model) => {
  const result = streamText({ model, prompt: QUESTION, ...ONCE, onError: () => {} });
  let text = "";
  for await (const part of result.fullStream) {
    if (part.type === "error") throw part.error;
    if (part.type === "text-delta") text += part.text;
  }
  check(text.startsWith(ANSWER) && (await result.usage).totalTokens > 0, text);
};

const weather = (asked) =>
  tool({
    description: "Weather now",
    inputSchema: z.object({ city: z.string() }),
    execute: async (given) => asked.push(given) && "18 °C",
  });

const looped = async (model) => {
  const asked = [];
  const ask = { model, prompt: QUESTION, tools: { get_weather: weather(asked) }, stopWhen: stepCountIs(3), ...ONCE };
  const { text } = await generateText(ask);
  check(text.startsWith(ANSWER) && "city" in asked[0], { text, asked });
};

const loopedStreaming = async (model) => {
  const asked = [];
  const ask = { model, prompt: QUESTION, tools: { get_weather: weather(asked) }, stopWhen: stepCountIs(3), ...ONCE };
  let failure = null;
  const result = streamText({ ...ask, onError: ({ error }) => (failure = error) });
  await result.consumeStream();
  if (failure) throw failure;
  check((await result.text).startsWith(ANSWER) && "city" in asked[0], asked);
};

const structured = async (model) => {
  const { output } = await generateText({ model, prompt: QUESTION, output: Output.object({ schema: City }), ...ONCE });
  check(City.safeParse(output).success, output);
};

const cancelled = (model) =>
  slowly("openai", async () => {
    const began = Date.now();
    let failure = null;
    try {
      await generateText({ model, prompt: QUESTION, abortSignal: AbortSignal.timeout(1000), ...ONCE });
    } catch (error) {
      failure = error;
    }
    check(failure !== null && /abort|timeout/i.test(`${failure.name} ${failure.message}`), `${failure} after ${Date.now() - began} ms`);
  });

const ways = { compatible: (id) => compatible(id), "openai.chat": (id) => openai.chat(id) };
for (const [way, model] of Object.entries(ways)) {
  addCase("chat", way, ["auto", ...PROVIDERS], (id) => said(model(id)));
  addCase("stream", way, ["auto", ...PROVIDERS], (id) => streamed(model(id)));
  addCase("tools", way, ["auto", ...PROVIDERS], (id) => looped(model(id)));
  addCase("tools", `${way} streamed`, PROVIDERS, (id) => loopedStreaming(model(id)));
  addCase("structured", way, ["auto", ...PROVIDERS], (id) => structured(model(id)));
  addCase("cancel", way, () => cancelled(model("openai")));
}
const all = { text: said, streamed, tools: looped, "tools streamed": loopedStreaming, structured };
for (const [name, show] of Object.entries(all)) {
  addCase("responses", name, ["auto", ...PROVIDERS], (id) => show(openai(id)));
  addCase("messages", name, ["auto", ...PROVIDERS], (id) => show(anthropic(id)));
}
addCase("embeddings", "embed", async () => {
  const { embedding } = await embed({ model: openai.embedding("text-embedding-3-small"), value: "a mutex", ...ONCE });
  check(embedding.length > 0, embedding);
});
addCase("completions", "openai.completion", () => said(openai.completion("auto")));
addCase("completions", "compatible.completionModel", () => streamed(compatible.completionModel("auto")));
addCase("default", "openai(id)", () => said(openai("auto")));

await run();

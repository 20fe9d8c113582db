// The dashboard: shows what the API says, every two seconds. Text only ever enters as text, never as HTML.
"use strict";

const SYSTEM = "/api/v1/system";
const EVERY_MS = 2000;

const byId = (id) => document.getElementById(id);
const number = (value, digits, unit = "") => (value == null ? "–" : value.toFixed(digits) + unit);
const when = (ms) => new Date(ms).toLocaleTimeString();

async function call(path, options) {
  const response = await fetch(path, options);
  const answer = await response.json();
  if (!answer.success) throw new Error(answer.error.message);
  return answer.data;
}

function row(cells) {
  const line = document.createElement("tr");
  for (const text of cells) {
    const cell = line.insertCell();
    cell.textContent = text;
    if (/^[\d.–$]/.test(text)) cell.className = "number";
  }
  return line;
}

function showScorecard(card, config) {
  const { latency, cost, reliability } = config.global.providerWeights;
  byId("steering").textContent =
    `config ${config.version} by ${config.metadata.optimizedBy} · weights latency ${latency}, cost ${cost}, ` +
    `reliability ${reliability} · exploration ${card.explorationRate} · optimization score ` +
    `${config.metadata.optimizationScore} (${config.metadata.optimizationScoreLow}–` +
    `${config.metadata.optimizationScoreHigh}) after ${config.metadata.iterationCount} rounds`;
  byId("simulated").hidden = !card.simulated;
  byId("left-out").textContent = card.leftOut.map((left) => `left out: ${left.provider}: ${left.reason}`).join(" · ");
  byId("scorecard").tBodies[0].replaceChildren(
    ...card.candidates.map((candidate, place) => {
      const known = candidate.evidence ?? {};
      const calls = (known.benchmarkCount ?? 0) + (known.liveCount ?? 0);
      return row([
        String(place + 1), `${candidate.provider}/${candidate.model}`, number(candidate.score, 3),
        number(known.latencyMs, 0, " ms"), number(known.success, 2), number(known.quality, 2),
        known.costUsd == null ? "–" : "$" + known.costUsd.toFixed(6), number(calls, 0),
        candidate.breaker.replace("_", " "), (candidate.reasons ?? []).join("; "),
      ]);
    }),
  );
}

function showInsights(insights) {
  byId("insights").replaceChildren(
    ...insights.map((insight) => {
      const item = document.createElement("li");
      const time = document.createElement("time");
      time.textContent = when(insight.timestamp);
      item.append(time, insight.text);
      return item;
    }),
  );
}

function showRounds(rounds) {
  byId("rounds").tBodies[0].replaceChildren(
    ...rounds.map((round) => {
      const { successCount, providersAttempted, avgLatency, avgQualityScore, totalCostUsd } = round.summary;
      return row([
        when(round.timestamp), round.trigger, round.status, `${successCount}/${providersAttempted}`,
        number(avgLatency, 0, " ms"), number(avgQualityScore, 2),
        totalCostUsd == null ? "–" : "$" + totalCostUsd.toFixed(4), number(round.duration / 1000, 1, " s"),
      ]);
    }),
  );
}

async function refresh() {
  try {
    const [card, config, insights, results] = await Promise.all([
      call(`${SYSTEM}/scorecard`), call(`${SYSTEM}/runtime-config`),
      call(`${SYSTEM}/insights?limit=10`), call(`${SYSTEM}/benchmark-results?limit=10`),
    ]);
    showScorecard(card, config);
    showInsights(insights.insights);
    showRounds(results.history);
    byId("state").textContent = `as of ${when(Date.now())}`;
  } catch (error) {
    byId("state").textContent = `not up to date: ${error.message}`;
  }
}

async function measure() {
  const button = byId("measure");
  button.disabled = true;
  try {
    const started = await call(`${SYSTEM}/benchmarks`, {
      method: "POST", headers: { "Content-Type": "application/json" }, body: "{}",
    });
    byId("state").textContent = `started ${started.roundId}`;
  } catch (error) {
    byId("state").textContent = `not started: ${error.message}`;
  } finally {
    button.disabled = false;
  }
}

async function follow() {
  await refresh();
  setTimeout(follow, EVERY_MS);
}

byId("measure").addEventListener("click", measure);
follow();

// The reference, from /openapi.json: every route, what it takes, and the schema of its body.
"use strict";

function element(tag, text, parent) {
  const made = document.createElement(tag);
  if (text) made.textContent = text;
  if (parent) parent.append(made);
  return made;
}

function typeOf(schema) {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if ("const" in schema) return JSON.stringify(schema.const);
  const several = schema.anyOf || schema.oneOf;
  if (several) return several.map(typeOf).join(" | ");
  if (schema.type === "array") return `list of ${typeOf(schema.items) || "anything"}`;
  return schema.type || "anything";
}

function fields(schema, parent) {
  const table = element("table", "", element("div", "", parent));
  table.parentElement.className = "wide";
  table.parentElement.tabIndex = 0;
  table.className = "cards";
  const head = element("tr", "", element("thead", "", table));
  for (const name of ["field", "type", "needed"]) element("th", name, head);
  const rows = element("tbody", "", table);
  for (const [name, property] of Object.entries(schema.properties || {})) {
    const row = element("tr", "", rows);
    element("td", name, row);
    element("td", typeOf(property), row);
    element("td", (schema.required || []).includes(name) ? "yes" : "", row);
  }
}

function operation(path, method, found, schemas, parent) {
  const section = element("section", "", parent);
  element("h2", `${method.toUpperCase()} ${path}`, section);
  element("p", found.summary, section);
  if (found.description) element("p", found.description, section);
  for (const parameter of found.parameters || []) {
    element("p", `${parameter.in === "path" ? "" : "?"}${parameter.name}: ${parameter.description || "text"}`, section);
  }
  const body = found.requestBody && found.requestBody.content["application/json"].schema;
  if (body && body.$ref) fields(schemas[typeOf(body)], section);
}

async function show() {
  const state = document.getElementById("state");
  try {
    const answer = await fetch(`${document.documentElement.dataset.base}/openapi.json`);
    const described = await answer.json();
    document.getElementById("about").textContent = described.info.description;
    const routes = document.getElementById("routes");
    for (const [path, methods] of Object.entries(described.paths)) {
      for (const [method, found] of Object.entries(methods)) {
        operation(path, method, found, described.components.schemas, routes);
      }
    }
    state.textContent = "";
  } catch (error) {
    state.textContent = `not loaded: ${error.message}`;
  }
}

show();

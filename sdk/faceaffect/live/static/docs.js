// Shows the OpenAPI description of the server.

const make = (name, content = [], attributes = {}) => {
  const element = Object.assign(document.createElement(name), attributes);
  element.append(...[content].flat());
  return element;
};
const BODIES = {
  "/v1/images": "--data-binary @face.jpg",
  "/v1/videos": "--data-binary @clip.mp4",
};

// Text with `code` in it.
const prose = (text) => text.split("`").map((part, index) => (index % 2 ? make("code", part) : part));

function curl(method, path, operation) {
  const query = path === "/v1/videos" && method === "post" ? "?report=true" : path === "/v1/events" ? "?count=3" : "";
  const flags = [method === "get" ? "" : `-X ${method.toUpperCase()}`, operation.requestBody ? BODIES[path] : ""].filter(Boolean);
  return ["curl", ...flags, `'${location.origin}${path.replaceAll("{", "$").replaceAll("}", "")}${query}'`].join(" ");
}

function typeOf(schema = {}) {
  if (schema.$ref) return schema.$ref.split("/").at(-1);
  if (schema.anyOf) return schema.anyOf.map(typeOf).join(" | ");
  if (schema.type === "array") return `${typeOf(schema.items)}[]`;
  return schema.enum?.join(" | ") ?? schema.const ?? schema.type ?? "any";
}

function table(titles, rows) {
  const line = (kind, cells) => make("tr", cells.map((cell) => make(kind, cell)));
  return make("table", [make("thead", line("th", titles)), make("tbody", rows.map((row) => line("td", row)))]);
}

function article(method, path, operation) {
  const parts = [
    make("h3", [make("b", method.toUpperCase(), { className: "method" }), make("code", path)]),
    make("p", prose(operation.description ?? operation.summary ?? "")),
  ];
  const parameters = operation.parameters ?? [];
  if (parameters.length) {
    parts.push(table(["parameter", "type", "meaning"], parameters.map((one) => [
      make("code", one.name), typeOf(one.schema), prose(one.description ?? ""),
    ])));
  }
  parts.push(table(["status", "answer", "meaning"], Object.entries(operation.responses).map(([status, one]) => [
    status,
    Object.entries(one.content ?? {}).map(([kind, { schema }]) => (schema && kind.endsWith("json") ? typeOf(schema) : kind)).join(", "),
    prose((one.description ?? "").replace("Successful Response", "")),
  ])));
  parts.push(make("pre", curl(method, path, operation)));
  const example = Object.values(operation.responses).flatMap((one) => Object.values(one.content ?? {})).find((one) => one.example);
  if (example) {
    const text = typeof example.example === "string" ? example.example : JSON.stringify(example.example, null, 2);
    parts.push(make("details", [make("summary", "example of an answer"), make("pre", text)]));
  }
  return make("article", parts, { className: "card", id: `${method}${path}` });
}

function schemas(components) {
  return Object.entries(components).map(([name, schema]) => make("article", [
    make("h3", name),
    make("p", prose(schema.description ?? "")),
    table(["field", "type"], Object.entries(schema.properties ?? {}).map(([field, one]) => [make("code", field), typeOf(one)])),
  ], { className: "card", id: name }));
}

async function show() {
  const isHere = await fetch("/openapi.json");
  const description = isHere.ok ? await isHere.json() : null;
  if (!description) {
    document.getElementById("about").textContent = "Log in on the live page first; then open this page again.";
    return;
  }
  document.getElementById("about").append(...prose(description.info.description));
  for (const [path, operations] of Object.entries(description.paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      document.getElementById("requests").append(article(method, path, operation));
      document.getElementById("contents").append(make("a", [make("b", method.toUpperCase(), { className: "method" }), path], { href: `#${method}${path}` }));
    }
  }
  document.getElementById("contents").append(make("a", [make("b", "WS", { className: "method" }), "/v1/stream"], { href: "#stream" }));
  document.getElementById("stream").after(...schemas(description.components.schemas));
}

show();

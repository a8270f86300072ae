// The request of this page as a program in other languages.
import { $, make } from "./dom.js";
import { base, hasKey } from "./service.js";
import { options, texts } from "./texts.js";
import { say } from "./words.js";

const quote = (value) => JSON.stringify(value);
const defined = (members) => Object.entries(members).filter(([, value]) => value !== undefined);

// What OpenAI's clients take as arguments; the rest goes into the body beside them.
const KNOWN = new Set(["model", "dimensions", "encoding_format"]);

const key = (language) => (!hasKey() ? quote("none")
  : language === "node" ? "process.env.EMBEDDINGS_KEY" : 'os.environ["EMBEDDINGS_KEY"]');
const python = (members) => members.map(([name, value]) => `${name}=${quote(value)}, `).join("");
const imports = () => (hasKey() ? "import os\n\n" : "");

function extra(members, name) {
  const more = members.filter(([each]) => !KNOWN.has(each));
  return more.length ? `${name}=${quote(Object.fromEntries(more))}, ` : "";
}

const WRITE = {
  curl(input, members) {
    const body = quote({ input, ...Object.fromEntries(members) }).replaceAll("'", "'\\''");
    const header = hasKey() ? ' -H "Authorization: Bearer $EMBEDDINGS_KEY"' : "";
    return `curl -s ${base()}v1/embeddings${header} \\\n  -H 'Content-Type: application/json' \\\n  -d '${body}'`;
  },
  "openai-python"(input, members) {
    const known = members.filter(([name]) => KNOWN.has(name));
    return `${imports()}from openai import OpenAI

client = OpenAI(base_url=${quote(`${base()}v1`)}, api_key=${key()})
answer = client.embeddings.create(${python(known)}${extra(members, "extra_body")}input=${quote(input)})
print(len(answer.data), answer.data[0].embedding[:4])`;
  },
  "openai-node"(input, members) {
    return `import OpenAI from "openai";

const client = new OpenAI({ baseURL: ${quote(`${base()}v1`)}, apiKey: ${key("node")} });
const answer = await client.embeddings.create(${quote({ ...Object.fromEntries(members), input })});
console.log(answer.data.length, answer.data[0].embedding.slice(0, 4));`;
  },
  LangChain(input, members) {
    const known = members.filter(([name]) => KNOWN.has(name) && name !== "encoding_format");
    const rest = members.filter(([name]) => name !== "encoding_format" && name !== "output_dtype");
    return `${imports()}from langchain_openai import OpenAIEmbeddings

embeddings = OpenAIEmbeddings(
    ${python(known)}base_url=${quote(`${base()}v1`)}, api_key=${key()},
    check_embedding_ctx_length=False, ${extra(rest, "model_kwargs").replace(/=(.*), $/, '={"extra_body": $1}, ')}
)
vectors = embeddings.embed_documents(${quote(input)})
print(len(vectors), vectors[0][:4])`;
  },
};

let language = "curl";

export function showSnippet() {
  if (!$("languages").childElementCount) offer();
  $("snippet").textContent = WRITE[language](texts().length ? texts() : [""], defined(options()));
  $("copied").textContent = "";
  for (const each of $("languages").children) each.setAttribute("aria-pressed", String(each.textContent === language));
}

function offer() {
  $("languages").append(...Object.keys(WRITE).map((name) => {
    const button = make("button", { type: "button", class: "quiet" }, name);
    button.addEventListener("click", () => {
      language = name;
      showSnippet();
    });
    return button;
  }));
  $("copy").addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText($("snippet").textContent);
      $("copied").textContent = say("copied");
    } catch {
      getSelection().selectAllChildren($("snippet"));
      $("copied").textContent = say("selected");
    }
  });
}

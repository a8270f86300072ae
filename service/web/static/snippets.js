// The request of this page as a program in other languages.
import { $ } from "./dom.js";
import { base, hasKey } from "./service.js";
import { options, texts } from "./texts.js";
import { put, say } from "./words.js";

const PROGRAMS = {
  curl: `curl -s {base}v1/embeddings{header} \\
  -H 'Content-Type: application/json' \\
  -d '{body}'`,
  "openai-python": `{imports}from openai import OpenAI

client = OpenAI(base_url={url}, api_key={pythonKey})
answer = client.embeddings.create({python}input={input})
print(len(answer.data), answer.data[0].embedding[:4])`,
  "openai-node": `import OpenAI from "openai";

const client = new OpenAI({ baseURL: {url}, apiKey: {nodeKey} });
const answer = await client.embeddings.create({node});
console.log(answer.data.length, answer.data[0].embedding.slice(0, 4));`,
  LangChain: `{imports}from langchain_openai import OpenAIEmbeddings

embeddings = OpenAIEmbeddings(
    {langchain}base_url={url}, api_key={pythonKey},
    check_embedding_ctx_length=False,
)
vectors = embeddings.embed_documents({input})
print(len(vectors), vectors[0][:4])`,
};

// JSON leaves out what is undefined; a string or a number of it is one of Python and of JavaScript too.
const quote = (value) => JSON.stringify(value);
const keywords = (members) => Object.entries(members).filter(([, value]) => quote(value ?? {}) !== "{}")
  .map(([name, value]) => `${name}=${quote(value)}, `).join("");

function describe(input, members) {
  const { model, dimensions, prompt_name, output_dtype } = members;
  // OpenAI's clients would decode other numbers as floats.
  const encoding_format = output_dtype ? "float" : members.encoding_format;
  return {
    header: hasKey() ? ' -H "Authorization: Bearer $EMBEDDINGS_KEY"' : "",
    imports: hasKey() ? "import os\n\n" : "",
    pythonKey: hasKey() ? 'os.environ["EMBEDDINGS_KEY"]' : quote("none"),
    nodeKey: hasKey() ? "process.env.EMBEDDINGS_KEY" : quote("none"),
    base,
    url: quote(`${base}v1`),
    input: quote(input),
    body: quote({ input, ...members }).replaceAll("'", "'\\''"),
    node: quote({ ...members, encoding_format, input }),
    python: keywords({ model, dimensions, encoding_format, extra_body: { prompt_name, output_dtype } }),
    // Its vectors are floats.
    langchain: keywords({ model, dimensions, model_kwargs: prompt_name && { extra_body: { prompt_name } } }),
  };
}

function show() {
  $("count").textContent = say("count", { count: texts().length });
  $("snippet").textContent = put(PROGRAMS[$("client").value], describe(texts().length ? texts() : [""], options()));
  $("copied").textContent = "";
}

$("client").replaceChildren(...Object.keys(PROGRAMS).map((name) => new Option(name)));
$("client").addEventListener("change", show);
$("texts-view").addEventListener("input", show);
$("copy").addEventListener("click", async () => {
  const isCopied = await navigator.clipboard?.writeText($("snippet").textContent).then(() => true, () => false);
  if (!isCopied) getSelection().selectAllChildren($("snippet"));
  $("copied").textContent = say(isCopied ? "copied" : "selected");
});

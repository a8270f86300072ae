// The request of this page as a program in other languages.
import { $ } from "./dom.js";
import { base, hasKey } from "./service.js";
import { options, texts } from "./texts.js";
import { say } from "./words.js";

// JSON leaves out what is undefined; a string or a number of it is one of Python and of JavaScript too.
const quote = (value) => JSON.stringify(value);
const some = (members) => (quote(members) === "{}" ? undefined : members);
const python = (members) => Object.entries(members).filter(([, value]) => value !== undefined)
  .map(([name, value]) => `${name}=${quote(value)}, `).join("");

const url = () => quote(`${base()}v1`);
const imports = () => (hasKey() ? "import os\n\n" : "");
const key = (variable) => (hasKey() ? variable : quote("none"));
const pythonKey = () => key('os.environ["EMBEDDINGS_KEY"]');

// OpenAI's clients would decode other numbers as floats.
const encoding = ({ encoding_format, output_dtype }) => (output_dtype ? "float" : encoding_format);

const WRITE = {
  curl(input, members) {
    const body = quote({ input, ...members }).replaceAll("'", "'\\''");
    const header = hasKey() ? ' -H "Authorization: Bearer $EMBEDDINGS_KEY"' : "";
    return `curl -s ${base()}v1/embeddings${header} \\\n  -H 'Content-Type: application/json' \\\n  -d '${body}'`;
  },
  "openai-python"(input, { model, dimensions, ...others }) {
    const { encoding_format: _, ...extra } = others;
    const known = python({ model, dimensions, encoding_format: encoding(others), extra_body: some(extra) });
    return `${imports()}from openai import OpenAI

client = OpenAI(base_url=${url()}, api_key=${pythonKey()})
answer = client.embeddings.create(${known}input=${quote(input)})
print(len(answer.data), answer.data[0].embedding[:4])`;
  },
  "openai-node"(input, members) {
    return `import OpenAI from "openai";

const client = new OpenAI({ baseURL: ${url()}, apiKey: ${key("process.env.EMBEDDINGS_KEY")} });
const answer = await client.embeddings.create(${quote({ ...members, encoding_format: encoding(members), input })});
console.log(answer.data.length, answer.data[0].embedding.slice(0, 4));`;
  },
  // Its vectors are floats.
  LangChain(input, { model, dimensions, prompt_name }) {
    const extra = prompt_name && { extra_body: { prompt_name } };
    return `${imports()}from langchain_openai import OpenAIEmbeddings

embeddings = OpenAIEmbeddings(
    ${python({ model, dimensions, model_kwargs: extra })}base_url=${url()}, api_key=${pythonKey()},
    check_embedding_ctx_length=False,
)
vectors = embeddings.embed_documents(${quote(input)})
print(len(vectors), vectors[0][:4])`;
  },
};

$("client").replaceChildren(...Object.keys(WRITE).map((name) => new Option(name)));
$("client").addEventListener("change", show);
$("texts-view").addEventListener("input", show);
$("copy").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText($("snippet").textContent);
    $("copied").textContent = say("copied");
  } catch {
    getSelection().selectAllChildren($("snippet"));
    $("copied").textContent = say("selected");
  }
});

function show() {
  $("count").textContent = say("count", { count: texts().length });
  $("snippet").textContent = WRITE[$("client").value](texts().length ? texts() : [""], options());
  $("copied").textContent = "";
}

// @langchain/openai sends text, unlike its Python sister.
const { OpenAIEmbeddings } = require("@langchain/openai");

function embeddings(url, key) {
  return new OpenAIEmbeddings({ model: "text-embedding-3-small", apiKey: key, configuration: { baseURL: `${url}/v1` } });
}

exports.embed = (url, key, texts) => embeddings(url, key).embedDocuments(texts);
exports.embed_queries = (url, key, texts) => Promise.all(texts.map((text) => embeddings(url, key).embedQuery(text)));

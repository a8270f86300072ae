// openai: versions before 7 decode the base64 that they ask for without a look at it.
async function embed(name, url, key, texts, options) {
  const { OpenAI } = require(name);
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: key });
  const answer = await client.embeddings.create({ model: "text-embedding-3-small", input: texts, ...options });
  return answer.data.map((each) => each.embedding);
}

exports.embed = (...given) => embed("openai", ...given);
exports.embed_as_floats = (...given) => embed("openai", ...given, { encoding_format: "float" });
exports.embed_with_6 = (...given) => embed("openai-6", ...given);
exports.embed_with_5 = (...given) => embed("openai-5", ...given);
exports.embed_with_4 = (...given) => embed("openai-4", ...given);

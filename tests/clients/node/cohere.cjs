// cohere-ai: the routes of its second version.
const { CohereClientV2 } = require("cohere-ai");

function client(url, key) {
  return new CohereClientV2({ token: key, environment: url });
}

exports.embed = async (url, key, texts) => {
  const request = { texts, model: "embed-v4.0", inputType: "search_document", embeddingTypes: ["float"] };
  return (await client(url, key).embed(request)).embeddings.float;
};

exports.rerank = async (url, key, query, texts) => {
  const answer = await client(url, key).rerank({ model: "rerank-v3.5", query, documents: texts });
  return answer.results.map((each) => [each.index, each.relevanceScore]);
};

// @huggingface/inference, which speaks to Text Embeddings Inference.
const { InferenceClient } = require("@huggingface/inference");

function client(url, key) {
  return new InferenceClient(key, { endpointUrl: url });
}

exports.embed = (url, key, texts) => client(url, key).featureExtraction({ inputs: texts });
exports.compare = (url, key, query, texts) =>
  client(url, key).sentenceSimilarity({ inputs: { source_sentence: query, sentences: texts } });

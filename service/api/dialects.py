"""The dialects: each has routes that embed, and says in its own words why it refuses."""

from service.api import (
    chat,
    cohere,
    infinity,
    notes,
    ollama,
    openai,
    platforms,
    rerank,
    similarity,
    tei,
    tokens,
    weaviate,
)

ALL = (openai, notes, cohere, rerank, infinity, tei, similarity, tokens, platforms, ollama, weaviate, chat)

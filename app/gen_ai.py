"""What OpenTelemetry's conventions for generative AI call things, in metrics and spans alike."""

from __future__ import annotations

#: names of providers, where theirs is not ours
PROVIDERS = {
    "azure": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "mistral": "mistral_ai",
    "moonshot": "moonshot_ai",
    "vertex": "gcp.vertex_ai",
    "xai": "x_ai",
}
CHAT, EMBEDDINGS = "chat", "embeddings"


def provider(name: str) -> str:
    """gen_ai.provider.name of a block of providers.toml."""
    return PROVIDERS.get(name, name)

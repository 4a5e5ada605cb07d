"""What answers behind the embedded AWS's Bedrock: real models on this machine, by profile.

    light      (default) no language model: all-MiniLM-L6-v2 for embeddings, extractive summaries of what is there, a
               router for the chat's tools, a scorecard for an investigation's moves
    local-llm  a small language model on this machine's processors; `make models` fetches its weights, once
    server     a language model behind any OpenAI-compatible address: Ollama, llama.cpp, vLLM

All speak the OpenAI chat-completions protocol, so that the engine knows one way to ask. Embeddings are made by the
light server in every profile: vectors of one model can be compared with each other only. docs/models.md has figures.
"""

"""What answers behind the embedded AWS's Bedrock: real models on this machine, by profile.

    light    (default) no language model: all-MiniLM-L6-v2 for embeddings, extractive summaries of what is there
    server   a language model behind any OpenAI-compatible address: Ollama, llama.cpp, vLLM

Both speak the OpenAI chat-completions protocol, so that the engine knows one way to ask. Embeddings are made by the
light server in either profile: vectors of one model can be compared with each other only.
"""

"""Exchange with Hugging Face's folders: `config.json`, safetensors, tokenizer. Exact in both directions."""

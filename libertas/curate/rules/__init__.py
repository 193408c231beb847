"""Quality rules: each measures one property of a document, and limits say which values let the document stay."""

"""Bytes to documents: crawl or pack an archive, read its WARC records, extract their text."""

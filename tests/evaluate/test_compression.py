import zstandard

from libertas.evaluate.compression import zstd_bytes

TEXT = b"".join(b"line %d of the text\n" % (n * 7919 % 1000) for n in range(300))


def test_zstd_sizes_are_those_of_frames_that_decompress_to_the_text():
    (size,) = zstd_bytes([TEXT])
    compressor = zstandard.ZstdCompressor(level=19, write_content_size=False, write_checksum=False)
    frame = compressor.compress(TEXT)
    assert size == len(frame)
    assert zstandard.ZstdDecompressor().decompress(frame, max_output_size=len(TEXT)) == TEXT


def test_documents_do_not_help_each_other_but_a_dictionary_does():
    assert zstd_bytes([TEXT, TEXT]).tolist() == zstd_bytes([TEXT]).tolist() * 2
    assert zstd_bytes([TEXT], TEXT)[0] < zstd_bytes([TEXT])[0] / 4


def test_sizes_are_the_same_every_time():
    assert zstd_bytes([TEXT, b"", b"x"], TEXT[:999]).tolist() == zstd_bytes([TEXT, b"", b"x"], TEXT[:999]).tolist()

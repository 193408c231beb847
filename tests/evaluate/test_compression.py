import lzma

import pytest
import zstandard

from libertas.evaluate.compression import xz_bytes, zstd_bytes

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


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 4097, 6000])
def test_xz_sizes_are_those_of_preset_9e_whatever_the_window(size: int) -> None:
    text = (TEXT * 2)[:size]
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME}]
    raw = lzma.compress(text, format=lzma.FORMAT_RAW, filters=filters)
    assert xz_bytes(text) == len(raw)
    assert lzma.decompress(raw, format=lzma.FORMAT_RAW, filters=filters) == text

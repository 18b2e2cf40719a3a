#!/usr/bin/env python3
"""Starts llama.cpp's own HTTP server on a free loopback port and says where. Ends when stdin does.

    python3 tests/peers/llama.py [KEY]      demands KEY (default `sk-peer`) from every asker

The model, `tiny`, is made on the spot: the llama architecture with two layers of random weights and
a vocabulary of bytes, letters and digits. It says nothing sensible (so a check may ask for any
letter or digit, `[A-Za-z0-9]`, and not for a nonce), but what serves it is the real engine: real
tokens, usage, timing and errors. Three things are not left to chance, so that every answer is sound:
only letters and digits are said, the end comes only after a digit, and after a digit it comes at
once. So answers are short and never empty.
"""

import os
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
PEERS = os.environ.get("BELLWETHER_PEERS", os.path.join(HERE, "..", "..", ".peers"))
sys.path.insert(0, os.path.join(PEERS, "llama"))

import gguf  # noqa: E402
import numpy  # noqa: E402
import xllamacpp  # noqa: E402

CONTEXT, WIDTH, LAYERS, INNER, HEADS = 4096, 128, 2, 256, 4
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
DIGITS = "0123456789"
END = 2
TEMPLATE = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant:"


def vocabulary():
    """Tokens, kinds and scores of a SentencePiece vocabulary that can say every byte."""
    kind = gguf.TokenType
    tokens = [("<unk>", kind.UNKNOWN), ("<s>", kind.CONTROL), ("</s>", kind.CONTROL)]
    tokens += [(f"<0x{byte:02X}>", kind.BYTE) for byte in range(256)]
    tokens += [(letter, kind.NORMAL) for letter in "\u2581" + LETTERS + DIGITS]
    texts, kinds = zip(*tokens)
    return list(texts), list(kinds), [-float(rank) for rank in range(len(texts))]


def write_model(path):
    """Writes the model. The seed is fixed: the same file every time."""
    chance = numpy.random.default_rng(1)
    texts, kinds, scores = vocabulary()
    digits = [texts.index(digit) for digit in DIGITS]
    said = [texts.index(letter) for letter in LETTERS + DIGITS]

    def drawn(*shape):
        return (chance.standard_normal(shape) * 0.05).astype(numpy.float32)

    # The first two channels carry, unchanged through all layers, "always" and "was a digit".
    embedding = drawn(len(texts), WIDTH)
    embedding[:, 0] = 1.0
    embedding[:, 1] = -1.0
    embedding[digits, 1] = 1.0
    output = drawn(len(texts), WIDTH) * 4
    output[:, 0] = -20.0
    output[:, 1] = 0.0
    output[said, 0] = 0.0
    output[digits, 0] = 1.0
    output[END, 1] = 40.0

    def into_the_stream(*shape):
        weights = drawn(*shape)
        weights[:2] = 0.0
        return weights

    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("tiny")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_vocab_size(len(texts))
    writer.add_tokenizer_model("llama")
    writer.add_token_list(texts)
    writer.add_token_types(kinds)
    writer.add_token_scores(scores)
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(END)
    writer.add_chat_template(TEMPLATE)
    ones = numpy.ones(WIDTH, dtype=numpy.float32)
    writer.add_tensor("token_embd.weight", embedding)
    writer.add_tensor("output_norm.weight", ones)
    writer.add_tensor("output.weight", output)
    for layer in range(LAYERS):
        block = f"blk.{layer}."
        writer.add_tensor(block + "attn_norm.weight", ones)
        writer.add_tensor(block + "ffn_norm.weight", ones)
        for name in ("attn_q", "attn_k", "attn_v"):
            writer.add_tensor(block + name + ".weight", drawn(WIDTH, WIDTH))
        writer.add_tensor(block + "attn_output.weight", into_the_stream(WIDTH, WIDTH))
        writer.add_tensor(block + "ffn_gate.weight", drawn(INNER, WIDTH))
        writer.add_tensor(block + "ffn_up.weight", drawn(INNER, WIDTH))
        writer.add_tensor(block + "ffn_down.weight", into_the_stream(WIDTH, INNER))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def start(key):
    """Starts the server. The model is read whole, so its file may go at once."""
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "tiny.gguf")
        write_model(path)
        params = xllamacpp.CommonParams()
        params.model.path = path
        params.model_alias = {"tiny"}
        params.hostnames = ["127.0.0.1"]
        params.port = 0
        params.api_keys = [key]
        params.n_ctx = CONTEXT
        params.n_parallel = 4
        # Threads wait for each other by spinning: two of them on a busy machine take seconds a token.
        params.cpuparams.n_threads = 1
        params.cpuparams_batch.n_threads = 1
        # Where a question gives no limit and no digit comes.
        params.n_predict = 64
        params.verbosity = 1
        return xllamacpp.Server(params)


def main():
    server = start(sys.argv[1] if len(sys.argv) > 1 else "sk-peer")
    print("listening on", server.listening_address, flush=True)
    # A test that dies closes this pipe: nothing is left behind.
    sys.stdin.read()
    # The orderly way waits for the requests under way, and with one open it was seen to wait forever.
    os._exit(0)


if __name__ == "__main__":
    main()

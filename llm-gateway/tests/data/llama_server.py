"""A llama.cpp server for tests: `llama_server.py MODEL PORT [vectors]`. It ends when its standard input is closed."""

import os
import sys
import threading

import xllamacpp


def end_with_parent():
    sys.stdin.read()
    os._exit(0)


threading.Thread(target=end_with_parent, daemon=True).start()
params = xllamacpp.CommonParams()
params.model.path = sys.argv[1]
params.hostnames = ["127.0.0.1"]
params.port = int(sys.argv[2])
params.n_ctx = 4096
params.n_parallel = 2
# Two that wait for each other are slower than one where processors are short.
params.cpuparams.n_threads = 1
params.endpoint_slots = True
params.verbosity = 0
if len(sys.argv) > 3:
    params.embedding = True
    params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
server = xllamacpp.Server(params)
threading.Event().wait()

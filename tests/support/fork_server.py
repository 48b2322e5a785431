"""Children of the tests that train: forked from a process that has imported the stack, they start in milliseconds."""

import multiprocessing

WARM = multiprocessing.get_context("forkserver")
WARM.set_forkserver_preload(
    ["ves.training.train", "ves.__main__", "transformers.models.hubert.modeling_hubert", "torch.distributed"]
)

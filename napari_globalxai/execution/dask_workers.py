"""Processes that work on parts of a job, on this machine or others: those of Dask.

A part is a chunk of images. Each process reads and writes its own chunks on the disk that all of
them see, and gives back what is small: counts, logits, errors. Only so does what passes through
the scheduler stay small, however many images there are.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

from napari_globalxai.errors import InputError
from napari_globalxai.execution.kept import IN_THIS_PROCESS
from napari_globalxai.progress import Progress, ProgressCallback, ignore_progress
from napari_globalxai.settings.execution_settings import WorkerSettings

if TYPE_CHECKING:
    from distributed import Client, Future

Task = TypeVar("Task")
Result = TypeVar("Result")

_MISSING = (
    "Workers are processes of Dask, which is not installed; install napari-globalxai[dask], or "
    "leave out the workers."
)
# How a job goes on whose workers are gone, as a person reads it.
RESUME = "what was finished is kept: go on with --resume"
SAME_AGAIN = "what was finished is kept: give the same command again to go on"
AGAIN = "give the command again"
# Enough that no worker waits for the next part, few enough that a stop leaves little behind.
_PARTS_A_THREAD = 2
_SECONDS_TO_CONNECT = 20
_STARTING = "Starting workers"
_ENVIRONMENT = {
    # One thread each, whatever their number: so many threads add up numbers in another order.
    **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"),
    # Linux gives memory of this size back after each layer, and clears it page by page for the
    # next one: of a forward with large maps that is a twentieth.
    **dict.fromkeys(("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"), str(1 << 30)),
}
# Dask gives the second and third levels of their own.
_TALKERS = ("distributed", "distributed.client", "tornado.application")


class Workers:
    """A Dask cluster, as a job sees it.

    Parameters
    ----------
    client : distributed.Client
        Connected to the cluster.
    go_on : str, optional
        What to do where the cluster is gone: `RESUME`, `SAME_AGAIN` or `AGAIN`.

    Attributes
    ----------
    link : str
        Where Dask shows what the workers do; empty where it does not.
    """

    def __init__(self, client: Client, go_on: str = AGAIN) -> None:
        self._client, self._go_on = client, go_on
        self._job = uuid4().hex
        self.link = _link(client)

    def run(
        self, function: Callable[[Task], Result], tasks: Iterable[Task]
    ) -> Generator[tuple[Task, Result], None, None]:
        """Give tasks and their results as they are finished, in whatever order that is.

        A worker that dies costs what it was working on, which another one does again. What is
        left is cancelled when the caller goes away.

        Parameters
        ----------
        function : callable
            Takes a task; it and what it returns must be such as can be pickled.
        tasks : iterable
            Taken as they are needed.

        Raises
        ------
        InputError
            When the cluster is gone, or a part has brought down several workers.
        """
        from distributed import as_completed

        waiting = iter(tasks)
        running: dict[Future[Result], Task] = {}

        def submit(count: int) -> list[Future[Result]]:
            futures = []
            for task in islice(waiting, count):
                # Not pure: what it gives depends on files, which may have changed since.
                with self._reached():
                    future = self._client.submit(
                        _work_on, self._job, function, task, key=_name_of(function), pure=False
                    )
                running[future] = task
                futures.append(future)
            return futures

        try:
            finished = as_completed(submit(self._width()), loop=self._client.loop)
            for future in finished:
                task = running.pop(future)
                result = self._result(future)
                for following in submit(max(0, self._width() - len(running))):
                    finished.add(following)
                yield task, result
        finally:
            # Of a cluster that is gone, nothing is left to be cancelled.
            with suppress(OSError):
                if running and self._client.status == "running":
                    self._client.cancel(list(running), force=True)

    @property
    def threads(self) -> int:
        """How many parts can be worked on at once: workers come and go."""
        with self._reached():
            return max(1, int(sum(self._client.nthreads().values())))

    def _width(self) -> int:
        """Return how many tasks may be under way."""
        return self.threads * _PARTS_A_THREAD

    @contextmanager
    def _reached(self) -> Iterator[None]:
        """Say what became of the cluster, where the block cannot ask it."""
        from distributed.client import ClosedClientError

        try:
            yield
        # The kinds of a connection that is lost, or that cannot be made again.
        except (OSError, TimeoutError, ClosedClientError) as why:
            raise self._gone() from why

    def _result(self, future: Future[Result]) -> Result:
        from concurrent.futures import CancelledError

        from distributed.client import FutureCancelledError
        from distributed.comm.core import CommClosedError
        from distributed.scheduler import KilledWorker

        try:
            return future.result()
        except KilledWorker as why:
            raise InputError(
                "Several workers in a row ended while they worked on the same images, perhaps for "
                f"want of memory; {self._go_on}, with fewer workers or a smaller --batch-size."
            ) from why
        except (CancelledError, CommClosedError, FutureCancelledError, TimeoutError) as why:
            raise self._gone() from why

    def _gone(self) -> InputError:
        return InputError(
            f"The scheduler of the workers is gone or cannot be reached; {self._go_on}."
        )


def _work_on(job: str, function: Callable[[Task], Result], task: Task) -> Result:
    """Work on a part, in another process."""
    IN_THIS_PROCESS.begin(job)
    return function(task)


def _name_of(function: Callable[..., Any]) -> str:
    """Return what Dask's pages are to call a part: unlike any other, by what is done."""
    return f"{getattr(function, '__name__', 'part').lstrip('_')}-{uuid4()}"


def check_workers(settings: WorkerSettings | int | None) -> None:
    """Refuse workers where Dask is not installed, before a model is loaded for them.

    Parameters
    ----------
    settings : WorkerSettings or int, optional
        As for `open_workers`.
    """
    if not _are_asked_for(settings):
        return
    try:
        import distributed  # noqa: F401
    except ImportError as why:
        raise InputError(_MISSING) from why


def _are_asked_for(settings: WorkerSettings | int | None) -> bool:
    if isinstance(settings, WorkerSettings):
        return settings.workers is not None or settings.scheduler is not None
    return settings is not None


@contextmanager
def open_workers(
    settings: WorkerSettings | int | None,
    progress: ProgressCallback = ignore_progress,
    go_on: str = AGAIN,
) -> Iterator[Workers | None]:
    """Start workers, or connect to those that are there; None where this process does the work.

    Workers on this machine listen to nothing but it, and only to who has the key that is made for
    them: whoever can talk to a worker can have it run anything.

    Parameters
    ----------
    settings : WorkerSettings or int, optional
        How many, or where the scheduler is.
    progress : callable, optional
        Told where Dask shows what the workers do.
    go_on : str, optional
        What to do where the cluster is gone meanwhile, see `Workers`.

    Raises
    ------
    InputError
        When Dask is not installed, or the scheduler cannot be reached.
    """
    if isinstance(settings, int):
        settings = WorkerSettings(workers=settings)
    if settings is None or not _are_asked_for(settings):
        yield None
        return
    check_workers(settings)
    import distributed

    # They tell in many lines of what is no fault of the user, such as a worker that was lost.
    for name in _TALKERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    progress(Progress(_STARTING, 0, 1))
    with ExitStack() as opened:
        if settings.scheduler is None:
            cluster = opened.enter_context(_local_cluster(settings.workers or 1))
            client = opened.enter_context(distributed.Client(cluster, set_as_default=False))
        else:
            client = opened.enter_context(_connected(settings.scheduler))
            _need_workers(client, settings.scheduler)
        workers = Workers(client, go_on)
        progress(Progress(f"{_STARTING}, shown at {workers.link}", 1, 1))
        yield workers


def _connected(address: str) -> Client:
    from distributed import Client

    try:
        return Client(address, timeout=_SECONDS_TO_CONNECT, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as why:
        raise InputError(
            f"The scheduler {address} cannot be reached; start it, or mend the address."
        ) from why


@contextmanager
def _local_cluster(count: int) -> Iterator[Any]:
    import dask
    from distributed import LocalCluster

    with (
        dask.config.set({"distributed.nanny.pre-spawn-environ": _ENVIRONMENT}),
        LocalCluster(
            n_workers=count,
            threads_per_worker=1,
            host="127.0.0.1",
            protocol="tls",
            security=True,
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
        ) as cluster,
    ):
        yield cluster


def _need_workers(client: Client, address: str) -> None:
    if not client.nthreads():
        raise InputError(f"The scheduler {address} has no workers; start some.")
    own = _release()
    try:
        found = client.run(_release)
    # What cannot be imported there fails in as many ways as it can be sent there.
    except Exception as why:
        raise InputError(
            f"The workers of {address} cannot load this package ({type(why).__name__}); install "
            f"napari-globalxai {own} where they run."
        ) from why
    if others := sorted(set(found.values()) - {own}):
        raise InputError(
            f"The workers of {address} have napari-globalxai {others[0]}, but this process has "
            f"{own}; install the same release."
        )


def _release() -> str:
    """Return the release of this package, in whatever process it is asked for."""
    from napari_globalxai import __version__

    return __version__


def _link(client: Client) -> str:
    try:
        return str(client.dashboard_link or "")
    except (AttributeError, KeyError, ValueError):
        return ""

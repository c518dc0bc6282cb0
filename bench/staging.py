"""How fast one machine copies a file from a hub into S3, and what that costs in CPU: ours against what people use.

    python -m bench.staging [--rounds 5] [--gib 4]

Peers run one after the other, again and again, over TLS on loopback; medians count, since machines are noisy. GB are
10⁹ bytes. MB/s are of the wall's clock: source, sink and copier share the machine, as they share nothing in a cloud;
CPU seconds are the copier's alone. Before that, one copy of ours is checked as S3 would check it, byte for byte.
The last line is JSON.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

from bench.certificates import write_certificate, write_preference

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / ".tools/bench/bin"
REGION, SECRET = "us-east-1", "bench"  # pragma: allowlist secret (nobody's)
CHECKED_BYTES = 300 * 1024**2 + 1  # three parts, the last one of neither a whole frame nor a whole MiB
TARGETS = {"rclone": (1.5, 0.5), "aria2c+s5cmd": (2.0, None), "requests+boto3": (3.0, None)}


@dataclass(frozen=True)
class Took:
    """What one copy took; `idle_mib` is what the process held before it began, where it waited for the word."""

    seconds: float
    cpu_seconds: float
    peak_mib: float
    idle_mib: float = 0.0


@dataclass(frozen=True)
class Place:
    """Where the hub and S3 are, and whom to trust there."""

    hub_url: str
    s3_url: str
    certificate: Path
    directory: Path

    @property
    def environment(self) -> dict[str, str]:
        """What each copier's process is given."""
        keys = {"AWS_ACCESS_KEY_ID": SECRET, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": REGION}
        trust = ("SSL_CERT_FILE", "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE")
        path = os.pathsep.join(str(ROOT / each) for each in ("", "layers/core/python"))
        given = {**keys, "AWS_DEFAULT_REGION": REGION, "AWS_ENDPOINT_URL": self.s3_url, "PYTHONPATH": path}
        return {**os.environ, **given, **dict.fromkeys(trust, str(self.certificate)), "POWERTOOLS_DEV": "true"}


def main() -> int:
    """Measure, and return 0."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="copies of each peer (5)")
    parser.add_argument("--gib", type=float, default=4.0, help="size of the file in GiB (4)")
    given = parser.parse_args()
    size_bytes = int(given.gib * 1024**3)
    peers: dict[str, Callable[[Place, int], Took]] = {
        "ours": lambda place, size: worker("ours", place, size),
        "rclone": rclone,
        "aria2c+s5cmd": aria2c_and_s5cmd,
        "requests+boto3": lambda place, size: worker("requests+boto3", place, size),
    }
    with tempfile.TemporaryDirectory(prefix="bench-", dir=memory()) as directory:
        with place_in(Path(directory), CHECKED_BYTES, verify=True) as place:
            worker("ours", place, CHECKED_BYTES)
        say("ours, checked as S3 checks it: every part signed, whole, and of the CRC64NVME that it says")
        measured: dict[str, list[Took]] = {name: [] for name in peers}
        with place_in(Path(directory), size_bytes, verify=False) as place:
            for number in range(1, given.rounds + 1):
                for name, copy in peers.items():
                    took = copy(place, size_bytes)
                    measured[name].append(took)
                    say(f"{number}/{given.rounds} {name:15} {told(took, size_bytes)}")
    report(measured, size_bytes)
    return 0


def report(measured: dict[str, list[Took]], size_bytes: int) -> None:
    """Print medians, ratios and the line of JSON."""
    figures = {name: medians(runs, size_bytes) for name, runs in measured.items()}
    ours = figures.pop("ours")
    say(f"{'ours':15} {line(ours)}; {ours['peak_mib'] - ours['idle_mib']:.0f} MiB above the idle worker")
    for name, peer in figures.items():
        faster, cheaper = ours["mb_per_s"] / peer["mb_per_s"], ours["cpu_s_per_gb"] / peer["cpu_s_per_gb"]
        want, at_most = TARGETS[name]
        aim = f"aim {want} ×" + (f", {at_most} × the CPU" if at_most else "")
        say(f"{name:15} {line(peer)}; ours is {faster:.2f} × as fast with {cheaper:.2f} × the CPU ({aim})")
        del peer["idle_mib"]
    sys.stdout.write(json.dumps({"ours": ours, "peers": figures}) + "\n")


def medians(runs: list[Took], size_bytes: int) -> dict[str, float]:
    """Return the medians of a peer's runs, in the units that are printed."""
    gb = size_bytes / 1e9
    return {
        "mb_per_s": round(median(gb * 1000 / run.seconds for run in runs), 1),
        "cpu_s_per_gb": round(median(run.cpu_seconds / gb for run in runs), 3),
        "peak_mib": round(median(run.peak_mib for run in runs), 1),
        "idle_mib": round(median(run.idle_mib for run in runs), 1),
    }


def told(took: Took, size_bytes: int) -> str:
    """Return a run in words."""
    return line(medians([took], size_bytes))


def line(figures: dict[str, float]) -> str:
    """Return figures in words."""
    rate, cpu, peak = figures["mb_per_s"], figures["cpu_s_per_gb"], figures["peak_mib"]
    return f"{rate:7.1f} MB/s {cpu:6.2f} CPU-s/GB {peak:7.1f} MiB at most"


@contextmanager
def place_in(directory: Path, size_bytes: int, *, verify: bool) -> Iterator[Place]:
    """Give a hub and an S3 for as long as the block lasts."""
    certificate, key = write_certificate(directory)
    command = [sys.executable, "-m", "bench.loopback", str(certificate), str(key), str(size_bytes)]
    command += ["--verify"] if verify else []
    environment = {**os.environ, "OPENSSL_CONF": str(write_preference(directory))}
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=pipe, stdout=pipe, text=True, start_new_session=True
    ) as serving:
        assert serving.stdin
        assert serving.stdout
        ports = json.loads(serving.stdout.readline())
        try:
            yield Place(
                hub_url=f"https://127.0.0.1:{ports['hub']}",
                s3_url=f"https://127.0.0.1:{ports['s3']}",
                certificate=certificate,
                directory=directory,
            )
        finally:
            serving.stdin.close()


def worker(name: str, place: Place, size_bytes: int) -> Took:
    """Return what a copier in Python took, from the word to its last byte."""
    command = [sys.executable, "-m", "bench.workers", name, place.hub_url, place.s3_url, str(size_bytes)]
    with subprocess.Popen(
        command, cwd=ROOT, env=place.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as working:
        assert working.stdout
        if working.stdout.readline() != "ready\n":
            raise SystemExit(f"{name} did not become ready.")
        said, _ = working.communicate("go\n")
    if working.returncode:
        raise SystemExit(f"{name} failed.")
    return Took(**json.loads(said))


def rclone(place: Place, _size_bytes: int) -> Took:
    """Return what rclone took: ranges of 32 MiB, eight at once."""
    target = "--s3-provider=Other --s3-force-path-style --s3-no-check-bucket --s3-no-head --s3-chunk-size=32M"
    at_once = "--s3-upload-concurrency=8 --multi-thread-streams=8 --multi-thread-chunk-size=32M"
    trusting = "--ignore-checksum --ignore-size --no-check-dest --retries=1 --config=/dev/null"
    return program(
        place,
        [
            *(str(TOOLS / "rclone"), "copyto", f"--http-url={place.hub_url}", ":http:f", ":s3:artifacts/k"),
            *(f"--s3-endpoint={place.s3_url}", f"--s3-access-key-id={SECRET}", f"--s3-secret-access-key={SECRET}"),
            *(f"--s3-region={REGION}", f"--ca-cert={place.certificate}"),
            *(*target.split(), *at_once.split(), *trusting.split()),
        ],
    )


def aria2c_and_s5cmd(place: Place, size_bytes: int) -> Took:
    """Return what the two took, one after the other: all of the file is stored in between, here in memory."""
    file = place.directory / "model.safetensors"
    options = "--split=8 --max-connection-per-server=8 --min-split-size=16M --file-allocation=none --quiet"
    download = program(
        place,
        [
            *(str(TOOLS / "aria2c"), *options.split(), f"--ca-certificate={place.certificate}"),
            *(f"--dir={file.parent}", f"--out={file.name}", "--allow-overwrite=true", f"{place.hub_url}/f"),
        ],
    )
    assert file.stat().st_size == size_bytes
    upload = program(
        place,
        [
            *(str(TOOLS / "s5cmd"), f"--endpoint-url={place.s3_url}", "cp", "--concurrency=8", "--part-size=32"),
            *(str(file), "s3://artifacts/k"),
        ],
    )
    file.unlink()
    return Took(
        seconds=download.seconds + upload.seconds,
        cpu_seconds=download.cpu_seconds + upload.cpu_seconds,
        peak_mib=max(download.peak_mib, upload.peak_mib),
    )


def program(place: Place, words: list[str]) -> Took:
    """Return what a program took from its start to its end."""
    began = perf_counter()
    with subprocess.Popen(
        words, env=place.environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stderr
        said = running.stderr.read()
        _, status, used = os.wait4(running.pid, 0)
        running.returncode = os.waitstatus_to_exitcode(status)
    seconds = perf_counter() - began
    if running.returncode:
        raise SystemExit(f"{Path(words[0]).name} failed:\n{said}")
    return Took(seconds=seconds, cpu_seconds=used.ru_utime + used.ru_stime, peak_mib=used.ru_maxrss / 1024)


def memory() -> str | None:
    """Return a directory in memory, where there is room for the file in between."""
    found = Path("/dev/shm")  # noqa: S108
    return str(found) if found.is_dir() and shutil.disk_usage(found).free > 6 * 1024**3 else None


def say(text: str) -> None:
    """Print what people read."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

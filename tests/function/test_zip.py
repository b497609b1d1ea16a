"""The archives for AWS Lambda: made twice, looked into, and run by AWS's runtime with nothing beside them."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from importlib.metadata import files
from importlib.util import MAGIC_NUMBER
from pathlib import Path

import pytest

from infra import elf, lambda_zip
from infra.fetched import CACHE, once
from orders.settings import TemporalSettings
from tests.api.conftest import bearer
from tests.examples import body
from tests.function.conftest import Collector, through
from tests.function.environments import HANDLER, ROOT, Environment
from tests.issuer import AUDIENCE, ISSUER, issuer_of_tokens, token
from tests.secrets_manager import ARN, SecretsManager, served

LARGEST = {"x86_64": 72, "arm64": 68}
"""How much, in MB, an archive may have, unpacked."""
SOURCES = ("api", "cli", "infra", "migrations", "orders", "requirements", "workers")
WRITTEN_ON = ("LICENSE", "README.md", "pyproject.toml")
OF_RUNTIME = ("awslambdaric", "simplejson", "snapshot-restore-py")
"""What AWS has there: requirements/runtime.txt."""
UNUSED = ("opentelemetry.exporter.prometheus", "prometheus_client")
"""What is imported only where a function never comes, or is not there in the container either."""
CHECKED_BY_NOBODY = (1).to_bytes(4, "little")
"""What a compiled module says of its source: that it is known by its hash, and not to be looked at (PEP 552)."""

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(sys.platform != "linux", reason="what is in the archives runs on Linux only"),
]


def make(output: Path, *options: str, checkout: Path = ROOT, **variables: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(checkout), **variables}
    command = [sys.executable, "-m", "infra.lambda_zip", "--output", str(output), *options]
    done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the archives are, which the processes of a run make once."""
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    once(shared / "made", ("archives",), lambda folder: make(folder / "archives"))
    return shared / "made" / "archives"


@pytest.fixture(scope="session")
def archive(made: Path) -> Callable[[str], Path]:
    def of(architecture: str) -> Path:
        return made / f"order-lifecycle-api-python3.{sys.version_info.minor}-{architecture}.zip"

    return of


@pytest.fixture(scope="session")
def task(archive: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive as AWS Lambda unpacks it, for the processor of this machine."""
    folder = tmp_path_factory.mktemp("var") / "task"
    here = {"x86_64": "x86_64", "aarch64": "arm64"}[os.uname().machine]
    with zipfile.ZipFile(archive(here)) as opened:
        opened.extractall(folder)
    return folder


each_architecture = pytest.mark.parametrize("architecture", ["x86_64", "arm64"])


def test_one_made_elsewhere_later_and_without_a_network_is_equal_byte_for_byte(
    archive: Callable[[str], Path], tmp_path: Path
) -> None:
    checkout, temporary = tmp_path / "another-checkout", tmp_path / "another-place"
    temporary.mkdir()
    for name in SOURCES:
        shutil.copytree(ROOT / name, checkout / name, copy_function=shutil.copy)
    for name in WRITTEN_ON:
        shutil.copy(ROOT / name, checkout)
    (checkout / ".cache").symlink_to(CACHE)
    variables = {"TMPDIR": str(temporary), "PYTHONHASHSEED": "77", "PIP_NO_INDEX": "1"}
    make(tmp_path / "again", "--arch", "arm64", checkout=checkout, **variables)
    (again,) = (tmp_path / "again").iterdir()
    assert again.read_bytes() == archive("arm64").read_bytes()
    assert naming(again, str(tmp_path), sys.prefix) == []


def naming(archive: Path, *places: str) -> list[str]:
    """The files in which one of these places is named."""
    with zipfile.ZipFile(archive) as opened:
        contents = {name: opened.read(name) for name in opened.namelist()}
    return [name for name, content in contents.items() if any(place.encode() in content for place in places)]


@each_architecture
def test_each_native_library_is_for_the_functions_machine(architecture: str, archive: Callable[[str], Path]) -> None:
    with zipfile.ZipFile(archive(architecture)) as opened:
        libraries = {name: opened.read(name) for name in opened.namelist() if ".so" in name}
    assert {name for name, library in libraries.items() if elf.machine(library) != elf.MACHINES[architecture]} == set()
    assert not any(re.search(rb"\.(symtab|debug_info)\0", library) for library in libraries.values())
    # Whichever Amazon Linux the runtime of this Python stands on.
    needed = {int(minor) for library in libraries.values() for minor in re.findall(rb"GLIBC_2\.(\d+)", library)}
    assert max(needed) <= lambda_zip.GLIBC


def test_both_machines_get_the_same(archive: Callable[[str], Path]) -> None:
    def without_machine(architecture: str) -> set[str]:
        with zipfile.ZipFile(archive(architecture)) as opened:
            return {re.sub(r"-(x86_64|aarch64)-", "-", name) for name in opened.namelist()}

    assert without_machine("x86_64") == without_machine("arm64")


@each_architecture
def test_it_is_not_larger_than_we_say(architecture: str, archive: Callable[[str], Path]) -> None:
    with zipfile.ZipFile(archive(architecture)) as opened:
        unpacked = sum(entry.file_size for entry in opened.infolist())
    assert LARGEST[architecture] - 2 <= unpacked / 1e6 <= LARGEST[architecture]
    # More can't be sent to AWS Lambda itself.
    assert archive(architecture).stat().st_size < 50_000_000


def test_all_is_compiled_and_our_own_sources_are_there_to_be_quoted(task: Path) -> None:
    compiled = {path.relative_to(task) for path in task.rglob("*.pyc")}
    headers = {(task / path).read_bytes()[:8] for path in compiled}
    assert headers == {MAGIC_NUMBER + CHECKED_BY_NOBODY}
    sources = {path.relative_to(task) for path in task.rglob("*.py")}
    assert {source.parts[0] for source in sources} == {"api", "orders"}
    tag = f"cpython-3{sys.version_info.minor}"
    assert {source.parent / "__pycache__" / f"{source.stem}.{tag}.pyc" for source in sources} <= compiled
    assert {
        path for path in compiled if path.parent.name == "__pycache__" and path.parts[0] not in ("api", "orders")
    } == set()


def test_all_that_our_sources_import_is_in_it(task: Path) -> None:
    wanted = {name for source in task.rglob("*.py") for name in imported(ast.parse(source.read_text()))}
    needed = sorted(name for name in wanted if not name.startswith(UNUSED))
    script = (
        "import importlib, sys; sys.path.insert(0, sys.argv[1]); [importlib.import_module(n) for n in sys.argv[2:]]"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", script, task, *needed], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    # What is imported late is among it.
    assert "botocore.auth" in needed


def imported(tree: ast.AST) -> Iterator[str]:
    """The modules that are imported anywhere in a source but for type checkers."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
        yield from imported(node)


class Bare(Environment):
    """An environment in which Python finds what is in the archive, AWS's runtime, and nothing else."""

    BEGIN = "import sys; sys.path[:0] = sys.argv[1:3]; from awslambdaric.__main__ import main; main(sys.argv[2:])"

    def __init__(self, folder: Path, task: Path, **settings: str) -> None:
        super().__init__(folder, **settings)
        runtime = folder / "runtime"
        for path in (path for name in OF_RUNTIME for path in files(name) or [] if ".." not in path.parts):
            (runtime / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path.locate(), runtime / path)
        self._command = [sys.executable, "-I", "-S", "-c", self.BEGIN, str(task), str(runtime), HANDLER]


@pytest.fixture
def environment(
    task: Path, tmp_path: Path, database_url: str, temporal_settings: TemporalSettings, collector: Collector
) -> Iterator[Bare]:
    manager = SecretsManager()
    manager.put(API_CURSOR_SECRET="a secret for the cursors of lists", DATABASE_URL=database_url)
    with issuer_of_tokens() as issuer, served(manager) as url:
        found = Bare(
            tmp_path,
            task,
            AUTH_MODE="jwt",
            AUTH_ISSUER=ISSUER,
            AUTH_AUDIENCE=AUDIENCE,
            AUTH_JWKS_URL=issuer.url,
            AWS_ENDPOINT_URL_SECRETS_MANAGER=url,
            OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{collector.relay.port}",
            SETTINGS_SECRET_ARN=ARN,
            TEMPORAL_ADDRESS=temporal_settings.address,
            TEMPORAL_NAMESPACE=f"{temporal_settings.namespace}-idle",
        )
        try:
            yield found
        finally:
            found.close()


def there(task: Path) -> list[Path]:
    return sorted(task.rglob("*"))


async def test_it_answers_with_nothing_beside_it_but_awss_runtime(
    environment: Bare, task: Path, collector: Collector
) -> None:
    before = there(task)
    collector.metrics.clear()
    async with through(environment) as http:
        trace_id, sent = "5f" * 16, bearer(token())
        placed = await http.post(
            "/orders", json=body(), headers={**sent, "traceparent": f"00-{trace_id}-{'1' * 16}-01"}
        )
        assert placed.status_code == 201, f"{placed.text}\n{environment.said}"
        found = await http.get(f"/orders/{placed.json()['id']}", headers=sent)
        assert found.json()["id"] == placed.json()["id"]
        assert (await http.get("/orders", headers=sent)).status_code == 200
    # The database was in the secret, without which there is no order.
    await collector.until(trace_id, "POST /orders")
    assert collector.metrics
    # Each module was compiled before.
    assert there(task) == before


def test_why_packages_cant_be_had_is_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(lambda_zip, "LOCK", tmp_path / "lock.txt")
    lambda_zip.LOCK.write_text(f"no-such-package-of-ours==1.0 \\\n    --hash=sha256:{'0' * 64}\n")
    monkeypatch.setattr(lambda_zip, "CACHE", tmp_path / "cache")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    assert lambda_zip.main(["--arch", "arm64", "--output", str(tmp_path / "made")]) == 1
    said = "the archive can't be made: ERROR: No matching distribution found for no-such-package-of-ours==1.0\n"
    assert capsys.readouterr().err == said
    assert not (tmp_path / "made").exists()

"""The whole workflow at toy size, as a user runs it: in a copy of the repository, by the real command.

`reference` runs from nothing to the end. `interrupted` is the same run in another copy, killed (kill -9) three times on
its way. What both leave must be the same to the byte.
"""

import os
import re
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.browsing import launched, needs_chromium, opened
from tests.support.stage_recorder import COMMAND_LINE, cheap_stages, files_of_stages
from tests.support.waiting import until
from tests.support.workflow import copy_to, dry_run, method, report, run, start
from ves.base.files import write_json
from ves.commands.digest import sources

TOY = ("--configfile", "config/toy.yaml")
RUNS = ("dense-s0", "hybrid-s0")
OF_RANKS = {"comparisons", "comparisons_page", "breakdown", "retrieval_page", "retrieval_figures"}
FIGURES = ("recall_by_language", "recall_over_k", "rank_histogram")
DRAWN = {"draw_figure1", "draw_heatmaps", "explorer"}
NOT_ALWAYS = {"similarity/triton.py"}  # imported by cheap steps only where there is a GPU
LAST = {"stage_times", "pages", "index", "all"}  # what any change of a result remakes


def stage_of(copy: Path, stage: str) -> int | None:
    """Process of a stage that runs in a copy."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (folder / "cmdline").read_bytes().split(b"\0")
            if arguments[1:4] == [b"-m", b"ves", stage.encode()] and (folder / "cwd").resolve() == copy.resolve():
                return int(folder.name)
        except (FileNotFoundError, ProcessLookupError):
            continue
    return None


def kill(copy: Path, stage: str, *, whom: str, when: Callable[[], bool]) -> None:
    """Start the workflow and kill -9 itself or the named stage while that runs; afterwards no stage runs on."""
    process = start(copy, *TOY)

    def running() -> int | None:
        assert process.poll() is None, f"{stage} was over before it could be killed"
        found = stage_of(copy, stage)
        return found if found is not None and when() else None

    found = until(running)
    assert found is not None
    os.kill(process.pid if whom == "workflow" else found, signal.SIGKILL)
    assert process.wait() != 0
    until(lambda: stage_of(copy, stage) is None)  # it is no orphan


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = copy_to(tmp_path_factory.mktemp("workflow") / "reference")
    run(copy, *TOY)
    return copy


def test_everything_is_made_and_nothing_is_left_to_do(reference: Path) -> None:
    made = ("table1.md", "comparisons.csv", "retrieval_by.csv", *(f"{figure}.png" for figure in FIGURES))
    made += ("table1.csv", "localisation.csv", "heatmaps/index.html", "heatmaps/index.json")
    made += (
        "figure1.png",
        "figure1.pdf",
        "words.csv",
        "words.png",
        "pointing_by_word.png",
        "explorer/index.html",
        "refused.csv",
        "times.csv",
        "pages/table1.html",
        "index.html",
    )
    for file in ("table1.csv", *(f"toy/{name}" for name in made)):
        assert (reference / "results" / file).stat().st_size > 0
    table = (reference / "results/table1.csv").read_text().splitlines()
    assert table[0] == "loss,direction,R@1,R@5,R@10,R@50,mean_rank,median_rank,n"
    losses = [line.split(",")[:2] for line in table[1:]]
    assert losses == [[loss, way] for loss in ("dense", "hybrid", "chance") for way in ("A2V", "V2A")]
    assert dry_run(reference, *TOY) == set()


def test_raw_shards_are_gone_and_every_step_left_a_log(reference: Path) -> None:
    assert not list((reference / "data/toy/source").rglob("*.parquet"))
    for stage in ("merge", "split", "train/dense-s0", "embed/hybrid-s0-val", "retrieval/dense-s0", "heatmaps"):
        assert (reference / f"logs/toy/{stage}.log").is_file()


def test_kill_9_and_the_same_command_again_give_the_same_bytes(reference: Path) -> None:
    copy = copy_to(reference.parent / "interrupted")

    def has(pattern: str) -> Callable[[], bool]:
        return lambda: any(copy.glob(pattern))

    kill(copy, "generate", whom="workflow", when=has("logs/toy/generate/**/*.log"))
    kill(copy, "features", whom="stage", when=has("logs/toy/features/*/*.log"))
    kill(copy, "train", whom="workflow", when=has("results/toy/dense-s0/checkpoints/*/step-*"))
    names = ["results/table1.csv", "results/toy/localisation.csv", "data/toy/audio.zarr.manifest.json"]
    names += [f"results/toy/{name}" for name in ("table1.md", "comparisons.csv", "retrieval_by.csv")]
    names += [f"results/toy/{figure}.png" for figure in FIGURES]
    names += [f"results/toy/{name}/embeddings/val.zarr.manifest.json" for name in RUNS]
    run(copy, *names, *TOY)  # films and pages take as long again, and nothing of them was killed
    assert dry_run(copy, *names, *TOY) == set()
    for name in names:
        assert (copy / name).read_bytes() == (reference / name).read_bytes(), name


def overlay(copy: Path, text: str) -> tuple[str, ...]:
    """The toy configuration with some keys changed."""
    (copy / "config/edited.yaml").write_text(text)
    return (*TOY, "config/edited.yaml")


def test_editing_one_run_re_runs_that_run_only(reference: Path) -> None:
    edited = overlay(reference, "runs: {hybrid: {rates: {scale: 2.0e-3}}}")
    of_the_run = {"train", "curves", "embed", "retrieval", "multi_positive", "localisation"}
    after = (
        {"write_settings results/toy/hybrid-s0/config.json", "table1", "publish", "localisation_table", *DRAWN}
        | {"report_tables"}
        | LAST
        | OF_RANKS
    )
    assert dry_run(reference, *edited) == {f"{rule} hybrid-s0" for rule in of_the_run} | after
    unused = overlay(reference, "runs: {global: {rates: {scale: 2.0e-3}}}")
    assert dry_run(reference, *unused) == set()


def test_settings_reach_only_what_they_decide(reference: Path) -> None:
    assert dry_run(reference, *overlay(reference, "heatmaps: {clips: 3}")) == {"draw_heatmaps"} | LAST
    assert dry_run(reference, *overlay(reference, "figure1: {clips: 3}")) == {"draw_figure1"} | LAST
    assert dry_run(reference, *overlay(reference, "corpus: {keep_source: true}")) == set()
    split = dry_run(reference, *overlay(reference, "split: {seed: 1}"))
    assert {"split", "train dense-s0", "train hybrid-s0"} <= split
    assert not split & {"generate", "ingest_audio", "ingest_images", "merge", "features"}
    refused = dry_run(reference, *overlay(reference, "corpus: {max_refused: 0.3}"))
    assert {"write_settings data/toy/corpus.json", "list_shards"} <= refused
    assert not refused & {"generate", "ingest_audio", "ingest_images"}


def jobs_after_comment(copy: Path, name: str) -> set[str]:
    """The jobs of a dry run while a comment stands at the end of a file, and only then."""
    file = copy / name
    before = file.read_text()
    file.write_text(before + "# edited\n")
    try:
        return dry_run(copy, *TOY)
    finally:
        file.write_text(before)


def test_code_of_cheap_results_re_runs_them_and_that_of_costly_ones_does_not(reference: Path) -> None:
    """The costly rules have a version that is raised by hand."""

    def jobs_after_editing(module: str) -> set[str]:
        return jobs_after_comment(reference, f"ves/{module.replace('.', '/')}.py")

    stages = ("retrieval", "multi_positive", "localisation")
    measured = {f"{stage} {name}" for stage in stages for name in RUNS}
    tables = {"table1", "publish", "localisation_table", "report_tables"} | LAST | OF_RANKS
    ranked = {job for job in measured if "localisation" not in job}
    assert jobs_after_editing("evaluation.retrieval.metrics") == ranked | tables - {"localisation_table"}
    assert jobs_after_editing("similarity.pairwise") == measured | tables | DRAWN | {"words"}
    assert jobs_after_editing("evaluation.words") == {"words"} | LAST
    assert jobs_after_editing("report.tables.recall_plots") == {"retrieval_figures"} | LAST
    assert jobs_after_editing("report.tables.comparisons") == OF_RANKS | LAST, (
        "breakdown and page write numbers as it does"
    )
    for costly in ("training.train", "corpus.ingest", "models.extraction"):
        assert jobs_after_editing(costly) == set()


def test_the_digest_of_a_cheap_step_has_every_file_that_it_runs_and_few_others(reference: Path) -> None:
    """What the step imported and opened in the finished workflow, but for what reads any command line."""
    found = files_of_stages(reference)
    stages = cheap_stages() - {"choose", "plan", "plan-films", "gather-segments"}  # of Vaani and of films
    assert len(stages) > 15
    for stage in sorted(stages):
        digested = sources(stage).keys()
        assert found[stage], stage
        assert not found[stage] - found[COMMAND_LINE] - digested, stage
        spared = {path for path in digested - found[stage] if path.endswith(".py")}
        assert spared <= NOT_ALWAYS, stage


def test_correcting_a_word_remakes_what_is_spoken_and_no_picture(reference: Path) -> None:
    def jobs_after_correcting(language: str) -> set[str]:
        return jobs_after_comment(reference, f"ves/sources/scenes/lexicon/{language}.yaml")

    remade = jobs_after_correcting("bn")
    assert {"generate", "ingest_audio", "merge", "seal_audio", "train dense-s0"} <= remade
    assert not remade & {"ingest_images", "write_settings data/toy/corpus.json", "list_shards"}
    assert jobs_after_correcting("ml") == set(), "nobody speaks it here"


def test_a_run_may_have_threads_of_its_own(reference: Path) -> None:
    edited = overlay(reference, "runs: {hybrid: {threads: 1}}\ntrain: {epochs: 0.4}\n")
    output = run(reference, "--dry-run", "--cores", "2", *edited)
    bodies = re.findall(r"^rule (train|embed):\n((?:    .*\n)+)", output, flags=re.MULTILINE)
    threads = {(rule, "hybrid" in body): re.findall(r"threads: (\d+)", body) for rule, body in bodies}
    one: list[str] = []  # is not told
    assert threads == {("train", True): one, ("train", False): ["2"], ("embed", True): one, ("embed", False): one}


def test_a_run_on_several_gpus_is_one_command_and_their_number_no_reason_to_train_again(reference: Path) -> None:
    gpus = ("--resources", "gpu=4", "--set-resources", "train:gpu=4")
    assert dry_run(reference, "train_dense", *TOY, *gpus) == set()
    output = run(
        reference, "--dry-run", "--printshellcmds", "--force", "train_dense", *TOY, *gpus, "--forcerun", "train"
    )
    assert "torchrun --standalone --nproc_per_node 4 -m -- ves train results/toy/dense-s0 --log" in output


def test_a_failing_training_keeps_the_checkpoints_and_what_was_trained_comes_back(reference: Path) -> None:
    """The finished training is put aside for other settings; one that diverged at once has left nothing in the way."""
    folder = reference / "results/toy/dense-s0"
    model = folder / "model.safetensors"
    trained, saved = model.read_bytes(), sorted(path.name for path in (folder / "checkpoints").glob("step-*"))
    assert saved
    diverging = overlay(
        reference, "train: {max_skipped: 2}\nruns: {dense: {rates: {audio.head: 1.0e+30, image.head: 1.0e+30}}}"
    )
    assert "finite" in run(reference, "train_dense", *diverging, fails=True)
    assert not model.exists()  # Snakemake deletes outputs; this is why checkpoints are none
    assert sorted(path.name for path in (folder / "checkpoints-archive-1").glob("step-*")) == saved
    assert not list((folder / "checkpoints").glob("step-*")), "none of steps that were skipped"
    run(reference, "train_dense", *TOY)
    assert model.read_bytes() == trained


@needs_chromium
def test_the_report_is_a_page_to_send_to_a_colleague(reference: Path) -> None:
    folder = report(reference, *TOY)
    with launched() as chromium, opened(chromium, folder / "report.html", warnings=False) as page:
        said = method(page)
        assert "synthesised by this workflow (seed 7950): 120 rendered pictures" in said
        assert "dense: max_mean hybrid: 0.7 x max_mean + 0.3 x mean_mean" in said
        assert "One training of each model" in said and "pointing" in said and "Not measured" not in said
        rows = page.locator(".ves-table").first.locator("tr").all_inner_texts()
        header, *cells = [row.split("\t") for row in rows]
        assert header == ["objective", "direction", "R@1", "R@5", "R@10", "mean rank", "median rank", "n"]
        written = [line.split(",") for line in (reference / "results/table1.csv").read_text().splitlines()[1:]]
        assert cells == [[*row[:5], *row[6:]] for row in written], "without R@50 of 20, which is left empty"
        assert page.locator(".prose a[href^='mailto:']").count() == 0
        assert page.locator(".ves-table").nth(1).locator("th").all_inner_texts()[3:7] == [
            *("random patch", "wrong clip", "DenseAV mAP", "DenseAV mIoU"),
        ]
        assert page.evaluate("document.querySelector('.prose img').naturalWidth") > 1000, "Figure 1"
        shown = page.evaluate("Object.values(results)")
        names = {entry["name"] for entry in shown}
        assert names >= {"explorer.html", "heatmaps.html", "figure1.png", "curves.png", "table1.csv", "table1.html"}
        assert names >= {"localisation.html", "refused.html", "times.html", "splits.html", "rank_histogram.png"}
        for entry in shown:
            assert entry["caption"].strip() and (folder / entry["data_uri"]).is_file(), entry["name"]
        (gallery,) = [folder / entry["data_uri"] for entry in shown if entry["name"] == "heatmaps.html"]
        assert len(list(gallery.parent.glob("*.mp4"))) == 2
        for name in ("heatmaps.html", "table1.html"):  # where it lies, there is no page of all results
            (copied,) = [folder / entry["data_uri"] for entry in shown if entry["name"] == name]
            with opened(chromium, copied) as other:
                assert other.get_by_role("link", name="All results").count() == 0
        with page.expect_popup() as popup:
            page.get_by_role("link", name="Explorer").click()
        ready = "explorer.current && document.getElementById('audio').readyState >= 2"
        popup.value.wait_for_function(f"typeof explorer !== 'undefined' && {ready}")  # the window has just opened
        assert not popup.value.get_by_role("link", name="All results").is_visible()


@needs_chromium
def test_from_the_page_of_all_results_one_gets_everywhere_and_back(reference: Path) -> None:
    results = reference / "results" / "toy"
    with launched() as chromium, opened(chromium, results / "index.html") as page:
        assert "toy" in page.locator("h1").inner_text()
        assert "with fewer than 50 steps" in page.locator(".few").inner_text()
        leads = page.evaluate("[...document.links].map((link) => link.getAttribute('href'))")
    pages = [name for name in dict.fromkeys(leads) if name.endswith(".html")]
    assert {"explorer/index.html", "heatmaps/index.html", "pages/table1.html", "pages/localisation.html"} <= set(pages)
    assert {"figure1.png", "recall_over_k.png", "words.png", "dense-s0/curves.png"} <= set(leads)
    for name in leads:
        assert (results / name).is_file(), name
    with launched() as chromium:
        for name in pages:
            with opened(chromium, results / name) as page:
                page.get_by_role("link", name="All results").click()
                assert page.url == (results / "index.html").as_uri(), name


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    return copy_to(tmp_path / "fresh")


def test_a_faulty_configuration_stops_before_any_job(fresh: Path) -> None:
    faulty = overlay(fresh, "train: {batch_size: 0}\nsplit: {colour: 1}\n")
    output = run(fresh, *faulty, fails=True)
    assert "config/edited.yaml: train.batch_size: Input should be greater than or equal to 2 (given: 0)" in output
    assert "config/edited.yaml: split.colour is not a known key; known here: high, mid, seed, val" in output
    assert not (fresh / "data").exists()
    assert "Traceback" not in output


def test_sizes_that_do_not_fit_the_backbone_stop_before_any_job(fresh: Path) -> None:
    output = run(fresh, *overlay(fresh, "vision: {image_size: 150}"), fails=True)
    assert (
        "config/edited.yaml: vision.image_size: 150 is not a multiple of the patch size, 32; take 128 or 160" in output
    )
    assert not (fresh / "data").exists()


def test_what_depends_on_a_backbone_in_a_folder_reads_its_files(fresh: Path) -> None:
    """In either format, with what says how its input is normalised: a change of any of them is then seen."""
    for name, kind in (("speech", "hubert"), ("pictures", "dinov2")):
        shutil.copytree(fresh / f"ves/standins/{kind}-scenes", fresh / name)
    write_json(fresh / "speech/preprocessor_config.json", {"do_normalize": False})
    write_json(fresh / "pictures/preprocessor_config.json", {"image_mean": 0.5, "image_std": 0.5})
    (fresh / "speech/model.safetensors").rename(fresh / "speech/pytorch_model.bin")
    edited = overlay(fresh, "{vision: {backbone: pictures}, audio: {backbone: speech}}")
    output = run(fresh, "--dry-run", "train_dense", *edited)
    inputs = dict(re.findall(r"^(?:local)?rule (\w+):\n    input: (.*)", output, flags=re.MULTILINE))
    assert "speech/pytorch_model.bin, speech/preprocessor_config.json" in inputs["train"]
    assert "pictures/preprocessor_config.json" in inputs["features"]
    assert re.search(r"features/pictures-[0-9a-f]{8}-\d+-stretch", inputs["features"]), "the hash of its weights"


def test_a_kind_of_backbone_that_is_not_read_stops_before_any_job(fresh: Path) -> None:
    shutil.copytree(fresh / "ves/standins/hubert-scenes", fresh / "speech")
    config = (fresh / "speech/config.json").read_text()
    (fresh / "speech/config.json").write_text(config.replace('"model_type": "hubert"', '"model_type": "sew"'))
    output = run(fresh, *overlay(fresh, "audio: {backbone: speech}"), fails=True)
    assert "config/edited.yaml: audio.backbone: speech/config.json has model_type 'sew'; VeS reads hubert," in output
    assert not (fresh / "data").exists()
    assert "Traceback" not in output


def test_without_a_revision_nothing_is_started(fresh: Path) -> None:
    """A dry run shows what it would do; a run is refused before its first job, which needs no network either."""
    output = run(fresh, "train_dense", "--configfile", "config/vaani.yaml", fails=True)
    assert "corpus.vaani.revision is not set; `hf datasets info ARTPARK-IISc/Vaani --expand sha` prints" in output
    assert not (fresh / "data").exists()
    assert "Traceback" not in output


def test_what_is_made_here_has_no_plan_and_what_is_downloaded_has_one(fresh: Path) -> None:
    output = run(fresh, "plan", *TOY, fails=True)
    assert "a plan is for a download or for films (corpus.kind: video or vaani), and the corpus toy" in output
    jobs = dry_run(fresh, "plan", "--configfile", "config/vaani-mini.yaml")
    settings = {f"write_settings data/vaani_mini/{name}.json" for name in ("corpus", "survey_config", "plan_settings")}
    assert jobs == settings | {"survey", "choose", "write_plan", "plan"}
    assert not (fresh / "data").exists()


def test_a_dry_run_needs_no_network_and_no_listing(fresh: Path) -> None:
    jobs = dry_run(fresh, "results/table1.csv", "--configfile", "config/vaani.yaml")
    assert {"survey", "check_disk_space", "list_shards", "merge", "features", "train dense-s0", "publish"} <= jobs
    assert dry_run(fresh, "train_global") >= {"list_shards", "train global-s0"}
    assert "draw_heatmaps" in dry_run(fresh, "heatmaps")
    assert not (fresh / "data").exists()

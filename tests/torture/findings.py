"""Sixteen kinds of faults that the program of commit 7588591 had, each as short scenes with tiny models. They take the
program's path and use only what the program of that time has too, so that they can be run on it."""

import time
from collections.abc import Callable

from torture import scenes_files as files
from torture import scenes_runs as runs
from torture import scenes_studies as studies
from torture.bench import Bench, FindingError
from torture.scenes import end_all_of

Scene = Callable[[Bench], None]

NUMBERS: dict[int, list[Scene]] = {
    1: [studies.a_trial_outlives_its_runner, studies.a_stale_record_blocks_nothing],
    2: [studies.a_killed_trial_is_tried_again, studies.a_retry_reopens_the_choice],
    3: [files.links_are_not_followed],
    4: [files.a_manifest_stays_inside, files.a_study_stays_inside],
    5: [
        runs.a_reader_goes_away,
        studies.a_study_loses_its_reader,
        runs.finished_means_a_checkpoint,
        runs.a_hang_up_stops_with_a_checkpoint,
    ],
    6: [runs.tokens_beyond_the_epochs, studies.a_study_beyond_its_epochs],
    7: [
        runs.another_holdout_of_a_stopped_run,
        runs.another_holdout_of_a_finished_run,
        runs.weights_that_are_no_numbers,
    ],
    8: [runs.a_dry_run_checks_all, runs.a_refused_start_leaves_nothing, runs.results_are_not_overwritten],
    9: [runs.a_long_step_hears_a_signal],
    10: [files.nested_json_is_refused],
    11: [
        studies.a_killed_rank_is_one_error,
        studies.a_rank_may_be_stopped_early,
        studies.ranks_end_while_they_connect,
    ],
    12: [files.points_come_from_a_pipe, files.pipes_without_a_writer_do_not_hang, files.devices_are_refused],
    13: [
        files.sizes_are_bounded_before_they_are_allocated,
        files.an_exclusion_keeps_to_its_memory,
        files.integers_of_a_manifest_are_checked,
    ],
    14: [files.an_error_is_one_line_of_text, files.errors_are_our_own],
    15: [files.a_full_disk_leaves_the_old_result, files.a_full_disk_leaves_nothing_of_a_set],
    16: [runs.readers_of_a_run_that_prunes],
}


def found_by(scene: Scene, bench: Bench) -> str:
    """In one line; empty if nothing is found."""
    try:
        scene(bench)
    except (FindingError, OSError) as finding:
        words = " ".join(str(finding).split())
        return f"{scene.__name__}: {words[:300]}"
    finally:
        end_all_of(bench.folder)
    return ""


def attack(bench: Bench, _: int) -> int:
    """Each number, whatever an earlier one finds."""
    broken = []
    for number, scenes in NUMBERS.items():
        begin = time.monotonic()
        findings = [finding for scene in scenes if (finding := found_by(scene, bench))]
        seconds = f"{time.monotonic() - begin:.0f} s"
        print(f"number {number}: {'FOUND ' + '; '.join(findings) if findings else 'holds'} ({seconds})", flush=True)
        broken += [str(number)] if findings else []
    if broken:
        raise FindingError(f"numbers {', '.join(broken)}")
    return len(NUMBERS)

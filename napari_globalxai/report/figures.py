"""All figures of a run, drawn from its folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from napari_globalxai.catalogue import STATISTICS
from napari_globalxai.report.comparison_chapter import draw_comparison_figures, find_comparisons
from napari_globalxai.report.image_figures import (
    Example,
    SimilarityRow,
    examples_figure,
    similarity_figure,
)
from napari_globalxai.report.map_figures import MapPanel, frame_figure, maps_figure, sd_figure
from napari_globalxai.report.members import LabelImages, images_by_label
from napari_globalxai.report.page import ReportFigure
from napari_globalxai.report.peppr_figures import peppr_figure
from napari_globalxai.report.question_figures import draw_question_figures
from napari_globalxai.report.slice_chapter import draw_slice_figures
from napari_globalxai.report.style import FloatImage
from napari_globalxai.runs.folder import file_stem
from napari_globalxai.runs.opened.read_maps import read_map
from napari_globalxai.runs.run import Run
from napari_globalxai.statistics.global_map import OVERALL
from napari_globalxai.statistics.recorded_statistics import recorded_statistics


def draw_figures(run: Run, comparisons: Sequence[Path] = ()) -> Iterator[ReportFigure]:
    """Draw the figures of a run, one at a time.

    Parameters
    ----------
    run : Run
        A finished run.
    comparisons : sequence of pathlib.Path, optional
        Folders of comparisons that lie elsewhere than in the run.

    Yields
    ------
    ReportFigure
        ``frame``, ``maps``, ``sd``, those of `draw_question_figures`, `draw_slice_figures` and
        `draw_comparison_figures`, ``similarity``, ``examples``, and ``peppr_<map>`` for each result
        of PEPPR that has a curve to show.
    """
    mean = run.stack.mean_image(run.finished_rows)
    channels = run.record.frame.channels
    signed = run.aggregation.part == "signed"
    smoothing = run.aggregation.smoothing
    smoothed = f" Smoothed with a Gaussian of {smoothing:g} pixels (SD)." if smoothing > 0 else ""
    panels = map_panels(run)
    yield ReportFigure(
        "frame",
        "The common frame: mean of the images, and the share of them that covers each pixel.",
        frame_figure(mean, channels, run.coverage, run.valid, run.record.settings.valid_share),
    )
    yield ReportFigure(
        "maps",
        "Global maps: mean of the image-wise attributions, over the dimmed mean image. Colour "
        "compares places within a map, not sizes between maps. White line: valid area; dotted: the "
        "strongest 5, 10 and 20 % of it." + smoothed,
        maps_figure(panels, mean, run.valid, signed=signed, smoothing=smoothing),
    )
    yield ReportFigure(
        "sd",
        "Spread of the image-wise attributions, as a share of the label's maximum. A low "
        "reliability (Spearman correlation between the maps of random halves of the patients, "
        "brought to all of them) means that the map would look different with other patients."
        + smoothed,
        sd_figure(panels[1:], mean, run.valid),
    )
    yield from draw_question_figures(run, mean)
    yield from draw_slice_figures(run, mean)
    yield from draw_comparison_figures(run, mean, find_comparisons(run, comparisons))
    by_label = images_by_label(run)
    yield ReportFigure(
        "similarity",
        "How like its label's global map each image's own map is, over the valid area. Thick line: "
        "middle half of the images; bar: median.",
        similarity_figure(
            [SimilarityRow(images.label, images.files, images.similarity) for images in by_label]
        ),
    )
    yield ReportFigure(
        "examples",
        "For each label, the true positive with the highest probability and the image whose map is "
        "least like the global map. Each attribution is on its own scale." + smoothed,
        examples_figure(
            [
                (
                    images.label,
                    _example(run, images, images.surest_true_positive),
                    _example(run, images, images.least_similar),
                )
                for images in by_label
            ],
            channels,
            run.stack.shape,
            signed=signed,
        ),
    )
    for name in run.peppr_names:
        figure = peppr_figure(run.peppr_result(name), name)
        if figure is not None:
            yield ReportFigure(
                f"peppr_{file_stem(name)}",
                f"PEPPR along the map “{name}”. Bands: 95 % intervals over patients for the map, "
                "the middle 95 % of the orders for the controls. The histogram compares Δ on the "
                "steps at which the controls were evaluated, so it may differ a little from the Δ "
                "of all steps.",
                figure,
            )


def map_panels(run: Run) -> list[MapPanel]:
    """Return the overall map and the label-wise maps of a run, with their SD and counts."""
    # Rows go by position: the table has the overall map first, then the labels in the run's order.
    table = run.statistics.to_dict("records")
    names = (OVERALL, *run.labels)
    added = [
        statistic
        for statistic in recorded_statistics(run.statistics.columns)
        if statistic.name not in STATISTICS.own
    ]
    return [
        MapPanel(
            name=name,
            image=run.maps[name],
            n=int(row["n"]),
            n_patients=int(row["n_patients"]),
            sd=None if name == OVERALL else _sd(run, name),
            reliability=float(row["reliability"]),
            more=tuple(f"{each.heading} {each.text(row[each.name])}" for each in added),
        )
        for name, row in zip(names, table, strict=True)
    ]


def _sd(run: Run, label: str) -> FloatImage:
    path = run.folder / "maps" / f"{file_stem(label)}.sd.tif"
    return read_map(path, run.stack.shape)


def _example(run: Run, images: LabelImages, at: int | None) -> Example | None:
    if at is None:
        return None
    row = int(images.rows[at])
    return Example(
        file=images.files[at],
        image=run.stack.read([row])[0],
        attribution=run.image_map(row, images.label),
        probability=float(images.probability[at]),
        similarity=float(images.similarity[at]),
    )

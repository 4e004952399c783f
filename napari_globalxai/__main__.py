"""``python -m napari_globalxai`` is the command line."""

from napari_globalxai.cli import main

if __name__ == "__main__":
    main()

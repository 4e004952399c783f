"""Long work beside the GUI thread, and short work in turns of its event loop."""

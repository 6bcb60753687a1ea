import subprocess
import sys


def test_importing_prediction_needs_torch_and_numpy_only():
    code = "import mcdrop.prediction, sys; print([m for m in ('scipy', 'sklearn', 'matplotlib') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

"""How long npgrad takes, as a ratio to PyTorch and Captum on the same weights and inputs. `python -m benchmarks`"""

"""How long npgrad takes, beside PyTorch, Captum and ONNX Runtime on the same weights and images.

python -m benchmarks       see __main__.py; the cases, each with its contenders side by side, are in cases.py
"""

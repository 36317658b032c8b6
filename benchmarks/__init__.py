"""How long npgrad takes, compared with PyTorch, Captum and ONNX Runtime on the same weights and images.

python -m benchmarks       see __main__.py; cases.py has the cases
"""

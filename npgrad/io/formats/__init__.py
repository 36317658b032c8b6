"""File formats of networks, one reader per file. No reader runs code that a file names or trusts a size it declares.

hdf5                npgrad's own .h5 file: read and written
onnx                networks described by an ONNX graph, read by `_onnx_graph` with the table in `_onnx_operators`
torch_pth           PyTorch .pth; its pickle goes through `_pickles`, `_pickle_machine` and `_torch_globals`
npz                 NumPy .npz; a pickle in it goes through `_pickles` and `_numpy_globals`
safetensors         .safetensors
caffe               .caffemodel, by way of `_protobuf`
deep_compression    the compressed SqueezeNet 1.0 of the Deep Compression paper

`signatures` detects a file's format from its first bytes; `reading` calls the matching reader and returns the tensors
by name. `_zips` reads zip archives (.pth and .npz); `structure` turns a network's layers into plain data and back.
"""

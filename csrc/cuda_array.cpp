#include "cuda_array.h"

#include <pybind11/numpy.h>

#include "check_cuda.h"
#include "cuda_stream.h"
#include "dlpack_view.h"

namespace faceaffect {

namespace {

void fill_strides(CudaArray* array) {
  array->strides.assign(array->shape.size(), 0);
  int64_t step = array->item_bytes;
  for (size_t i = array->shape.size(); i-- > 0;) {
    array->strides[i] = step;
    step *= array->shape[i];
  }
}

std::vector<int64_t> whole_numbers(py::handle sequence) {
  std::vector<int64_t> numbers;
  for (py::handle item : sequence) numbers.push_back(item.cast<int64_t>());
  return numbers;
}

CudaArray from_interface(py::handle value, const py::dict& interface, const char* name,
                         uintptr_t stream) {
  const auto typestr = interface["typestr"].cast<std::string>();
  const py::tuple data = interface["data"];
  if (typestr.size() < 3 || typestr[0] == '>')
    throw py::value_error(std::string(name) +
                          " must be in this machine's byte order, got typestr " + typestr);
  if (interface.contains("mask") && !py::object(interface["mask"]).is_none())
    throw py::value_error(std::string(name) + " must have no mask; fill the masked elements first");
  CudaArray array = {data[0].cast<uintptr_t>(),
                     whole_numbers(interface["shape"]),
                     {},
                     typestr[1],
                     std::stoi(typestr.substr(2)),
                     data[1].cast<bool>(),
                     py::reinterpret_borrow<py::object>(value)};
  const bool has_strides =
      interface.contains("strides") && !py::object(interface["strides"]).is_none();
  if (has_strides)
    array.strides = whole_numbers(interface["strides"]);
  else
    fill_strides(&array);
  if (interface.contains("stream") && !py::object(interface["stream"]).is_none())
    order_after(reinterpret_cast<void*>(interface["stream"].cast<uintptr_t>()),
                reinterpret_cast<void*>(stream));
  return array;
}

CudaArray from_dlpack(py::handle value, const char* name, uintptr_t stream) {
  const py::tuple device = value.attr("__dlpack_device__")();
  const int kind = device[0].cast<int>();
  if (kind != kDlCuda && kind != kDlCudaHost && kind != kDlCudaManaged)
    throw py::value_error(
        std::string(name) + " must be on an NVIDIA GPU or in pinned memory, this " +
        Py_TYPE(value.ptr())->tp_name + " is on DLPack device kind " + std::to_string(kind) +
        " (1 is ordinary host memory); move it there, for example with .cuda()");
  // DLPack denotes the default stream by 1
  py::object capsule = kind == kDlCudaHost
                           ? value.attr("__dlpack__")()
                           : value.attr("__dlpack__")(py::arg("stream") = stream ? stream : 1);
  const auto* tensor =
      static_cast<const DlTensor*>(PyCapsule_GetPointer(capsule.ptr(), "dltensor"));
  if (tensor == nullptr) throw py::error_already_set();
  const char* const kinds = "iuf";
  if (tensor->type_code > 2 || tensor->type_lanes != 1)
    throw py::value_error(std::string(name) + " must hold plain numbers, got DLPack type code " +
                          std::to_string(tensor->type_code));
  CudaArray array = {reinterpret_cast<uintptr_t>(tensor->data) + tensor->byte_offset,
                     {tensor->shape, tensor->shape + tensor->ndim},
                     {},
                     kinds[tensor->type_code],
                     tensor->type_bits / 8,
                     false,
                     capsule};
  fill_strides(&array);
  for (size_t i = 0; tensor->strides != nullptr && i < array.shape.size(); ++i)
    array.strides[i] = tensor->strides[i] * array.item_bytes;
  return array;
}

CudaArray from_pinned(const py::array& numbers, const char* name) {
  cudaPointerAttributes attributes = {};
  const cudaError_t status = cudaPointerGetAttributes(&attributes, numbers.data());
  if (status != cudaSuccess || attributes.type == cudaMemoryTypeUnregistered) {
    cudaGetLastError();
    throw py::value_error(std::string(name) +
                          " must be on an NVIDIA GPU or in pinned memory, this NumPy array is in "
                          "ordinary host memory; copy it into a PinnedBuffer or to the GPU first");
  }
  return {reinterpret_cast<uintptr_t>(attributes.devicePointer),
          {numbers.shape(), numbers.shape() + numbers.ndim()},
          {numbers.strides(), numbers.strides() + numbers.ndim()},
          numbers.dtype().kind(),
          static_cast<int>(numbers.itemsize()),
          !numbers.writeable(),
          numbers};
}

std::string type_name(const CudaArray& array) {
  const std::string bits = std::to_string(8 * array.item_bytes);
  if (array.kind == 'f') return "float" + bits;
  if (array.kind == 'u') return "uint" + bits;
  if (array.kind == 'i') return "int" + bits;
  return std::string(1, array.kind) + std::to_string(array.item_bytes);
}

CudaArray any_array(py::handle value, const char* name, uintptr_t stream) {
  if (py::hasattr(value, "__cuda_array_interface__"))
    return from_interface(value, value.attr("__cuda_array_interface__"), name, stream);
  if (py::isinstance<py::array>(value))
    return from_pinned(py::reinterpret_borrow<py::array>(value), name);
  if (py::hasattr(value, "__dlpack_device__")) return from_dlpack(value, name, stream);
  throw py::value_error(
      std::string(name) +
      " must be an array on an NVIDIA GPU (__cuda_array_interface__ or DLPack), got " +
      Py_TYPE(value.ptr())->tp_name);
}

}  // namespace

std::string shape_text(const std::vector<int64_t>& shape) {
  std::string text = "(";
  for (size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + (shape.size() == 1 ? ",)" : ")");
}

bool CudaArray::is_contiguous() const {
  int64_t step = item_bytes;
  for (size_t i = shape.size(); i-- > 0; step *= shape[i])
    if (shape[i] > 1 && strides[i] != step) return false;
  return true;
}

std::string CudaArray::described() const {
  return type_name(*this) + " " + shape_text(shape) + (is_contiguous() ? "" : " with gaps");
}

CudaArray cuda_array(py::handle value, const char* name, uintptr_t stream) {
  CudaArray array = any_array(value, name, stream);
  const int64_t item = array.item_bytes > 0 ? array.item_bytes : 1;
  bool is_aligned = array.address % static_cast<uintptr_t>(item) == 0;
  for (const int64_t stride : array.strides) is_aligned = is_aligned && stride % item == 0;
  if (!is_aligned)  // a misaligned read fails and makes the GPU unusable for the whole process
    throw py::value_error(std::string(name) + " must begin and step at multiples of its " +
                          std::to_string(array.item_bytes) + " byte items, got address " +
                          std::to_string(array.address) + "; copy it first");
  return array;
}

CudaArray cuda_output(py::handle value, const char* name, const std::vector<int64_t>& shape,
                      uintptr_t stream) {
  CudaArray array = cuda_array(value, name, stream);
  const bool is_float = array.is('f', 4) || array.is('f', 2);
  if (!is_float || array.shape != shape || !array.is_contiguous() || array.is_read_only)
    throw py::value_error(std::string(name) + " must be a writable contiguous float32 or float16 " +
                          shape_text(shape) + " on the GPU, got " +
                          (array.is_read_only ? "read-only " : "") + array.described());
  return array;
}

Element element_of(const CudaArray& array, const char* name) {
  if (array.is('f', 4)) return Element::Float32;
  if (array.is('f', 2)) return Element::Float16;
  throw py::value_error(std::string(name) + " must be float32 or float16, got " +
                        array.described());
}

uintptr_t stream_handle(py::handle stream) {
  if (stream.is_none()) return 0;
  if (PyLong_Check(stream.ptr())) return stream.cast<uintptr_t>();
  if (py::hasattr(stream, "__cuda_stream__"))
    return py::tuple(stream.attr("__cuda_stream__")())[1].cast<uintptr_t>();
  for (const char* name : {"cuda_stream", "handle", "ptr"}) {  // torch; ours, PyCUDA; CuPy
    if (!py::hasattr(stream, name)) continue;
    const py::object handle = stream.attr(name);
    if (PyLong_Check(handle.ptr())) return handle.cast<uintptr_t>();
    if (py::hasattr(handle, "value"))  // Numba: a ctypes pointer, None for the default stream
      return py::object(handle.attr("value")).is_none() ? 0
                                                        : handle.attr("value").cast<uintptr_t>();
  }
  throw py::value_error(
      "stream must be None, a stream handle or a CUDA stream of torch, CuPy, PyCUDA, Numba or "
      "cuda-python, got " +
      std::string(Py_TYPE(stream.ptr())->tp_name));
}

}  // namespace faceaffect

#include <pybind11/stl.h>

#include <memory>

#include "check_cuda.h"
#include "cuda_array.h"
#include "cuda_kernels.h"
#include "cuda_stream.h"
#include "device_guard.h"
#include "device_memory.h"
#include "gil_release.h"

namespace faceaffect {

namespace {

void* as_handle(py::handle stream) { return reinterpret_cast<void*>(stream_handle(stream)); }

// View of a buffer as an array for kernels and other libraries; keeps the buffer alive.
struct BufferView {
  py::object owner;
  uintptr_t address;
  std::vector<int64_t> shape;
  std::string typestr;

  py::dict interface() const {
    py::dict answer;
    answer["shape"] = py::tuple(py::cast(shape));
    answer["typestr"] = typestr;
    answer["data"] = py::make_tuple(address, false);
    answer["strides"] = py::none();
    answer["version"] = 3;
    return answer;
  }
};

BufferView view_of(const py::object& owner, uintptr_t address, size_t bytes,
                   const std::vector<int64_t>& shape, const std::string& typestr, size_t offset) {
  if (typestr != "<f4" && typestr != "<f2" && typestr != "|u1" && typestr != "<i4" &&
      typestr != "<i8")
    throw py::value_error("typestr must be <f4, <f2, |u1, <i4 or <i8, got " + typestr);
  const size_t item = static_cast<size_t>(typestr[2] - '0');
  size_t needed = item;
  for (const int64_t side : shape) {
    if (side < 0) throw py::value_error("shape must not be negative, got " + shape_text(shape));
    needed *= static_cast<size_t>(side);
  }
  if (offset % item != 0 || offset > bytes || needed > bytes - offset)
    throw py::value_error("a view of " + std::to_string(needed) + " bytes at " +
                          std::to_string(offset) + " must fit its buffer of " +
                          std::to_string(bytes) + " bytes");
  return {owner, address + offset, shape, typestr};
}

py::dict device_facts(int index) {
  cudaDeviceProp device = {};
  check_cuda(cudaGetDeviceProperties(&device, index), "asking a GPU what it is");
  size_t free_bytes = 0, total_bytes = 0;
  const DeviceGuard guard(index);
  check_cuda(cudaMemGetInfo(&free_bytes, &total_bytes), "asking for free memory");
  py::dict facts;
  facts["name"] = std::string(device.name);
  facts["compute_capability"] = py::make_tuple(device.major, device.minor);
  facts["is_integrated"] = device.integrated != 0;
  facts["multiprocessors"] = device.multiProcessorCount;
  facts["total_bytes"] = total_bytes;
  facts["free_bytes"] = free_bytes;
  return facts;
}

// Frees memory, which waits for the GPU, without the GIL.
struct DeleteWithoutGil {
  template <typename T>
  void operator()(T* owned) const {
    const GilRelease release;
    delete owned;
  }
};

template <typename T>
using FreedWithoutGil = std::unique_ptr<T, DeleteWithoutGil>;

// A context manager; `with DeviceGuard(1):` selects a GPU for its body.
class PyDeviceGuard {
 public:
  explicit PyDeviceGuard(int index) : index_(index) {}
  void enter() { guard_ = std::make_unique<DeviceGuard>(index_); }
  void exit(const py::args&) { guard_.reset(); }

 private:
  int index_;
  std::unique_ptr<DeviceGuard> guard_;
};

int version_of(cudaError_t (*ask)(int*)) {
  int version = 0;
  return ask(&version) == cudaSuccess ? version : 0;
}

void bind_memory(py::module_& m) {
  py::class_<BufferView>(m, "BufferView")
      .def_property_readonly("__cuda_array_interface__", &BufferView::interface)
      .def_readonly("shape", &BufferView::shape)
      .def_readonly("address", &BufferView::address);
  py::class_<DeviceBuffer, FreedWithoutGil<DeviceBuffer>>(m, "DeviceBuffer")
      .def(py::init<size_t>(), py::call_guard<GilRelease>())
      .def_property_readonly("address", &DeviceBuffer::address)
      .def_property_readonly("nbytes", &DeviceBuffer::bytes)
      .def(
          "view",
          [](const py::object& self, const std::vector<int64_t>& shape, const std::string& typestr,
             size_t offset) {
            const auto& buffer = self.cast<const DeviceBuffer&>();
            return view_of(self, buffer.address(), buffer.bytes(), shape, typestr, offset);
          },
          py::arg("shape"), py::arg("typestr") = "<f4", py::arg("offset") = 0);
  py::class_<PinnedBuffer, FreedWithoutGil<PinnedBuffer>>(m, "PinnedBuffer")
      .def(py::init<size_t>(), py::call_guard<GilRelease>())
      .def_property_readonly(
          "address", [](const PinnedBuffer& b) { return reinterpret_cast<uintptr_t>(b.data()); })
      .def_property_readonly("nbytes", &PinnedBuffer::bytes)
      .def("bytes", [](const py::object& self) {
        const auto& buffer = self.cast<const PinnedBuffer&>();
        return py::array_t<uint8_t>({static_cast<py::ssize_t>(buffer.bytes())}, {1}, buffer.data(),
                                    self);
      });
}

void bind_streams(py::module_& m) {
  py::class_<Graph, FreedWithoutGil<Graph>>(m, "CudaGraph")
      .def("launch", [](const Graph& g, py::handle stream) { g.launch(as_handle(stream)); });
  py::class_<Event>(m, "Event")
      .def(py::init<bool>(), py::arg("timed") = false)
      .def("record", [](const Event& e, py::handle stream) { e.record(as_handle(stream)); })
      .def("synchronize", &Event::synchronize, py::call_guard<GilRelease>())
      .def_property_readonly("is_done", &Event::is_done)
      .def("elapsed_ms", &Event::elapsed_ms);
  py::class_<Stream>(m, "Stream")
      .def(py::init<>())
      .def_property_readonly(
          "handle", [](const Stream& s) { return reinterpret_cast<uintptr_t>(s.handle()); })
      .def("__cuda_stream__",
           [](const Stream& s) {
             return py::make_tuple(0, reinterpret_cast<uintptr_t>(s.handle()));
           })
      .def("synchronize", &Stream::synchronize, py::call_guard<GilRelease>())
      .def("wait", &Stream::wait)
      .def("begin_capture", &Stream::begin_capture)
      .def("end_capture",
           [](const Stream& s) {
             const GilRelease release;
             return FreedWithoutGil<Graph>(s.end_capture().release());
           })
      .def("abandon_capture", &Stream::abandon_capture);
}

}  // namespace

void bind_cuda_resources(py::module_& m) {
  py::register_exception<CudaError>(m, "CudaError", PyExc_RuntimeError);
  bind_memory(m);
  bind_streams(m);
  m.def("copy_bytes", [](uintptr_t to, uintptr_t from, size_t bytes, py::handle stream) {
    void* const handle = as_handle(stream);
    const GilRelease release;  // copies of pageable memory wait
    copy_bytes(to, from, bytes, handle);
  });
  m.def("copy_rows", [](uintptr_t to, size_t to_stride, uintptr_t from, size_t from_stride,
                        size_t row_bytes, size_t rows, py::handle stream) {
    void* const handle = as_handle(stream);
    const GilRelease release;
    copy_rows(to, to_stride, from, from_stride, row_bytes, rows, handle);
  });
  m.def("fill_bytes", [](uintptr_t to, int value, size_t bytes, py::handle stream) {
    fill_bytes(to, value, bytes, as_handle(stream));
  });
  m.def("require_device", &require_device);
  m.def("use_device", [](int index) { check_cuda(cudaSetDevice(index), "choosing a GPU"); });
  py::class_<PyDeviceGuard>(m, "DeviceGuard")
      .def(py::init<int>())
      .def("__enter__", &PyDeviceGuard::enter)
      .def("__exit__", &PyDeviceGuard::exit);
  m.def("set_wait_mode", [](int index, const std::string& mode) {
    const GilRelease release;
    set_wait_mode(index, mode.c_str());
  });
  m.def("device_count", [] {
    int count = 0;
    check_cuda(cudaGetDeviceCount(&count), "looking for a GPU");
    return count;
  });
  m.def("device_facts", &device_facts);
  m.def("driver_version", [] { return version_of(&cudaDriverGetVersion); });
  m.def("runtime_version", [] { return version_of(&cudaRuntimeGetVersion); });
  // Describes an array as a kernel receives it: (address, shape, strides in bytes, kind, bytes per
  // item).
  m.def("describe_cuda_array", [](py::handle value) {
    const CudaArray array = cuda_array(value, "array", 0);
    return py::make_tuple(array.address, array.shape, array.strides, std::string(1, array.kind),
                          array.item_bytes);
  });
  m.def("stream_handle", &stream_handle);
}

}  // namespace faceaffect

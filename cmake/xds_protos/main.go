// Writes the descriptors of the messages that graymesh speaks with proxies, for protoc:
//
//	go run . OUT.binpb >FILES
//
// OUT.binpb becomes a FileDescriptorSet with every file of the packages in wanted.go and of what
// they import; FILES are the names to generate, one a line. Those of google/protobuf are in the
// set but not among the names: libprotobuf has them. Envoy publishes no release of its .proto
// files, while this Go module is generated from them for each release of Envoy and carries the
// descriptors, with a checksum that go.sum pins.
package main

import (
	_ "embed"
	"fmt"
	"go/parser"
	"go/token"
	"log"
	"os"
	"sort"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

//go:embed wanted.go
var wantedSource string

// What a Go package's path has before its folder of .proto files.
var modules = strings.NewReplacer("github.com/envoyproxy/go-control-plane/", "", "github.com/cncf/xds/go/", "")

// The words of C++20 that protoc 3.21 does not know to avoid.
var keywords = map[string]bool{
	"char8_t": true, "co_await": true, "co_return": true, "co_yield": true,
	"concept": true, "consteval": true, "constinit": true, "requires": true,
}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: go run . OUT.binpb >FILES")
	}
	closure := closureOf(wantedFiles())
	set := &descriptorpb.FileDescriptorSet{}
	for _, file := range closure {
		descriptor := protodesc.ToFileDescriptorProto(file)
		for _, message := range descriptor.MessageType {
			avoidKeywords(message)
		}
		set.File = append(set.File, descriptor)
		if !strings.HasPrefix(file.Path(), "google/protobuf/") {
			fmt.Println(file.Path())
		}
	}
	bytes, err := proto.MarshalOptions{Deterministic: true}.Marshal(set)
	if err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(os.Args[1], bytes, 0o644); err != nil {
		log.Fatal(err)
	}
}

// The files directly in the folders that wanted.go imports, by name.
func wantedFiles() []protoreflect.FileDescriptor {
	source, err := parser.ParseFile(token.NewFileSet(), "wanted.go", wantedSource, parser.ImportsOnly)
	if err != nil {
		log.Fatal(err)
	}
	folders := map[string]bool{}
	for _, imported := range source.Imports {
		folders[modules.Replace(strings.Trim(imported.Path.Value, `"`))] = true
	}
	var files []protoreflect.FileDescriptor
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		path := file.Path()
		if folders[path[:max(strings.LastIndex(path, "/"), 0)]] {
			files = append(files, file)
		}
		return true
	})
	sort.Slice(files, func(i, j int) bool { return files[i].Path() < files[j].Path() })
	return files
}

// The files and all they import, each after its imports, as protoc wants them.
func closureOf(files []protoreflect.FileDescriptor) []protoreflect.FileDescriptor {
	var ordered []protoreflect.FileDescriptor
	seen := map[string]bool{}
	var visit func(protoreflect.FileDescriptor)
	visit = func(file protoreflect.FileDescriptor) {
		if seen[file.Path()] {
			return
		}
		seen[file.Path()] = true
		if file.IsPlaceholder() {
			log.Fatalf("%s is imported but not linked in: wanted.go lacks its Go package", file.Path())
		}
		for i := range file.Imports().Len() {
			visit(file.Imports().Get(i).FileDescriptor)
		}
		ordered = append(ordered, file)
	}
	for _, file := range files {
		visit(file)
	}
	return ordered
}

// Appends `_` to field names that C++ cannot have. JSON keeps the old name, the wire knows none.
func avoidKeywords(message *descriptorpb.DescriptorProto) {
	for _, field := range message.Field {
		if keywords[field.GetName()] {
			field.Name = proto.String(field.GetName() + "_")
		}
	}
	for _, nested := range message.NestedType {
		avoidKeywords(nested)
	}
}

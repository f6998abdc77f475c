package main

import (
	"cmp"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"go/types"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestReadmeHasTheFlags compares the tables in the README with the usage.
func TestReadmeHasTheFlags(t *testing.T) {
	for _, command := range []string{"serve", "dial"} {
		_, usage, _ := call(t, "help", command)
		got := defaultsByFlag("(?m)^\\| `--(\\S+)` \\|(?: `(\\S+)`)? \\|", readmeSection(t, "weir "+command))
		want := defaultsByFlag(`(?m)^  --(\S+).*\n.*?(?: \(default (\S+)\))?$`, usage)
		for _, name := range slices.Sorted(maps.Keys(want)) {
			if text, ok := got[name]; !ok || text != want[name] {
				t.Errorf("%s --%s: the README has default %q, %t; the usage has %q", command, name, text, ok, want[name])
			}
		}
		if len(got) != len(want) {
			t.Errorf("%s: the README has %d flags, the usage %d", command, len(got), len(want))
		}
	}
}

func readmeText(t *testing.T) string {
	t.Helper()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(readme)
}

// readmeSection is what the README has under a heading of the second level.
func readmeSection(t *testing.T, heading string) string {
	t.Helper()
	_, section, ok := strings.Cut(readmeText(t), "\n## "+heading+"\n")
	if !ok {
		t.Fatalf("the README has no section %q", heading)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	return section
}

func defaultsByFlag(row, text string) map[string]string {
	flags := make(map[string]string)
	for _, m := range regexp.MustCompile(row).FindAllStringSubmatch(text, -1) {
		flags[m[1]] = m[2]
	}
	return flags
}

// TestReadmePrograms has the compiler look at the programs in the README.
func TestReadmePrograms(t *testing.T) {
	programs := regexp.MustCompile("(?s)```go\n(package main\n.*?)```").FindAllStringSubmatch(readmeText(t), -1)
	if len(programs) < 4 {
		t.Fatalf("the README has %d programs, less than those for beginners and for three systems", len(programs))
	}
	for _, program := range programs {
		file := filepath.Join(t.TempDir(), "main.go")
		if err := os.WriteFile(file, []byte(program[1]), 0o600); err != nil {
			t.Fatal(err)
		}
		if formatted, err := format.Source([]byte(program[1])); err != nil || string(formatted) != program[1] {
			t.Errorf("not as gofmt has it, %v: %s", err, program[1])
		}
		if out, err := exec.Command("go", "vet", file).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	}
}

// TestReadmeNamesExist looks up what the README calls by package and name.
func TestReadmeNamesExist(t *testing.T) {
	declared := make(map[string]map[string]bool)
	name := regexp.MustCompile("`(engine|handler|ambiorix|nanonext|websockets)\\.([A-Z][\\w.]*)`")
	for _, m := range name.FindAllStringSubmatch(readmeText(t), -1) {
		pkg, symbol := m[1], m[2]
		if declared[pkg] == nil {
			dir := map[string]string{"engine": "../../engine", "handler": "../../handler"}[pkg]
			declared[pkg] = declarations(t, cmp.Or(dir, "../../handler/"+pkg))
		}
		if !declared[pkg][symbol] {
			t.Errorf("there is no %s.%s", pkg, symbol)
		}
	}
	if len(declared) != 5 {
		t.Errorf("names of %d packages, want 5", len(declared))
	}
}

// declarations are the names that the package in a directory declares: those of methods,
// and of fields and methods of types, behind that of the type.
func declarations(t *testing.T, dir string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	names := make(map[string]bool)
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			declare(names, d)
		}
	}
	return names
}

func declare(names map[string]bool, d ast.Decl) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		name := d.Name.Name
		if d.Recv != nil {
			name = strings.TrimPrefix(types.ExprString(d.Recv.List[0].Type), "*") + "." + name
		}
		names[name] = true
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.ValueSpec:
				for _, name := range s.Names {
					names[name.Name] = true
				}
			case *ast.TypeSpec:
				names[s.Name.Name] = true
				for _, member := range members(s.Type) {
					names[s.Name.Name+"."+member.Name] = true
				}
			}
		}
	}
}

// members are the fields of a struct, or the methods of an interface, that have a name.
func members(of ast.Expr) (names []*ast.Ident) {
	list := new(ast.FieldList)
	switch of := of.(type) {
	case *ast.StructType:
		list = of.Fields
	case *ast.InterfaceType:
		list = of.Methods
	}
	for _, member := range list.List {
		names = append(names, member.Names...)
	}
	return names
}

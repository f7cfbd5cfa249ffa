// Package version says which build of the operator is running.
package version

import "runtime/debug"

// version is set by the linker (-X …/internal/version.version=v1.2.3) when a release or `make build` builds the program.
var version string

// String returns the version of the running program: the one the linker set; else the module version or commit that the Go
// toolchain recorded; else "devel". It never fails and is never empty.
func String() string {
	info, _ := debug.ReadBuildInfo()
	return pick(version, info)
}

// pick chooses among what the linker and the toolchain recorded. info may be nil.
func pick(linked string, info *debug.BuildInfo) string {
	const unknown = "devel"
	if linked != "" {
		return linked
	}
	if info == nil {
		return unknown
	}
	// The toolchain writes "(devel)" for a build from a checkout without version control information.
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" && setting.Value != "" {
			return unknown + "-" + setting.Value[:min(len(setting.Value), 12)]
		}
	}
	return unknown
}

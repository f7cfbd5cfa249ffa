package main

// crd is the part of a CustomResourceDefinition that the page tells.
type crd struct {
	Kind string `json:"kind"`
	Spec struct {
		Group string `json:"group"`
		Names struct {
			Kind       string   `json:"kind"`
			Plural     string   `json:"plural"`
			ShortNames []string `json:"shortNames"`
			Categories []string `json:"categories"`
		} `json:"names"`
		Scope    string    `json:"scope"`
		Versions []version `json:"versions"`
	} `json:"spec"`
}

// version is one version of a kind.
type version struct {
	Name    string   `json:"name"`
	Columns []column `json:"additionalPrinterColumns"`
	Schema  struct {
		Root schema `json:"openAPIV3Schema"`
	} `json:"schema"`
}

// column is what `kubectl get` shows.
type column struct {
	Name     string `json:"name"`
	Path     string `json:"jsonPath"`
	Priority int    `json:"priority"`
}

// schema is a node of an OpenAPI v3 schema.
type schema struct {
	Description string            `json:"description"`
	Type        string            `json:"type"`
	Format      string            `json:"format"`
	Enum        []string          `json:"enum"`
	Pattern     string            `json:"pattern"`
	MinLength   *int64            `json:"minLength"`
	MaxLength   *int64            `json:"maxLength"`
	Minimum     *float64          `json:"minimum"`
	Maximum     *float64          `json:"maximum"`
	MinItems    *int64            `json:"minItems"`
	MaxItems    *int64            `json:"maxItems"`
	Properties  map[string]schema `json:"properties"`
	Required    []string          `json:"required"`
	Items       *schema           `json:"items"`
	Values      *schema           `json:"additionalProperties"`
	Rules       []rule            `json:"x-kubernetes-validations"`
}

// rule is a validation in CEL with the message that a user sees.
type rule struct {
	Message string `json:"message"`
}
